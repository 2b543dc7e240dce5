import sharp from 'sharp';
import { describe, expect, test } from 'vitest';
import { createRandom } from '../../../src/shared/kernels/random.js';
import { type Chart, chartPng, chartSvg } from '../../../src/shared/plots/chart.js';
import { chartColours, darkTheme, lightTheme } from '../../../src/shared/plots/chart-colours.js';
import { summaryBarsChart } from '../../../src/shared/plots/shap-bars.js';
import { beeswarmChart } from '../../../src/shared/plots/shap-beeswarm.js';
import { dependenceChart } from '../../../src/shared/plots/shap-dependence.js';
import { strongestInteraction } from '../../../src/shared/plots/shap-interaction.js';
import { meanSizes, type ShapTable } from '../../../src/shared/plots/shap-table.js';
import { shapWaterfallChart } from '../../../src/shared/plots/shap-waterfall.js';
import { expectClose } from '../../helpers/arrays.js';

/** Effects fall from feature to feature; `effectOf` overrules them. */
function makeTable(
  n: number,
  D: number,
  effectOf: (x: Float64Array, j: number) => number = (x, j) => (x[j]! * 2) / (j + 1),
): ShapTable {
  const random = createRandom(7);
  const rows = Float64Array.from({ length: n * D }, random.normal);
  const values = rows.map((_, i) => effectOf(rows.subarray(i - (i % D), i - (i % D) + D), i % D));
  const expected = 40;
  const predictions = Float64Array.from({ length: n }, (_, row) =>
    values.subarray(row * D, (row + 1) * D).reduce((sum, value) => sum + value, expected),
  );
  const names = Array.from({ length: D }, (_, j) => `zone ${j + 1} [°C]`);
  return { names, rows, values, predictions, expected, what: 'weight' };
}

const barsOf = (table: ShapTable, most = 20) => {
  const outputs = [{ label: 'output 0', sizes: meanSizes(table) }];
  return summaryBarsChart({ names: table.names, outputs, rows: table.predictions.length, what: table.what }, most);
};
const textsOf = (svg: string) =>
  [...svg.matchAll(/<text[^>]*>([^<]*)(?:<title>[^<]*<\/title>)?<\/text>/g)].map(([, text]) => text!);
const titlesOf = (svg: string) => [...svg.matchAll(/<title>([^<]*)<\/title>/g)].map(([, text]) => text!);
const numbersOf = (svg: string, name: string) =>
  [...svg.matchAll(new RegExp(`<(?:circle|rect)[^>]* ${name}="([-\\d.]+)"`, 'g'))].map(([, value]) => Number(value));
const marksOf = (svg: string, label: string) =>
  [...svg.matchAll(new RegExp(`<g[^>]*aria-label="${label}"[^>]*>(.*?)</g>`, 'gs'))].map(([mark]) => mark!).join('');
const numberOf = (text: string) => Number(text.replace('\u2212', '-'));

describe('summary bars', () => {
  test('features stand once each, the largest first, with bars as long as their mean sizes', () => {
    const table = makeTable(200, 5);
    const svg = chartSvg(barsOf(table));
    const sizes = [...meanSizes(table)].sort((a, b) => b - a);
    const widths = numbersOf(marksOf(svg, 'rect'), 'width');
    expectClose(
      widths,
      sizes.map((size) => (size / sizes[0]!) * widths[0]!),
      { atol: 1e-6 },
    );
    expect(titlesOf(svg)).toEqual(table.names);
    for (const name of table.names) expect(textsOf(svg).filter((text) => text === name)).toHaveLength(1);
    for (const size of sizes) expect(textsOf(svg)).toContain(String(Number(size.toPrecision(3))));
  });

  test('features beyond the first are one bar, so that no size is lost', () => {
    const table = makeTable(200, 40);
    const svg = chartSvg(barsOf(table, 20));
    const widths = numbersOf(marksOf(svg, 'rect'), 'width');
    const sizes = [...meanSizes(table)].sort((a, b) => b - a);
    const sum = (numbers: readonly number[]) => numbers.reduce((total, number) => total + number, 0);
    expect(widths).toHaveLength(21);
    expect(titlesOf(svg).at(-1)).toBe('20 other features');
    expectClose([sum(widths) / widths[0]!], [sum(sizes) / sizes[0]!], { atol: 1e-6 });
    expect(titlesOf(chartSvg(barsOf(table, 40)))).toHaveLength(40);
    expect(titlesOf(chartSvg(barsOf(table, 39)))).toHaveLength(40); // one other feature is shown itself
  });

  test('outputs are stacked, and those beyond the colours joined', () => {
    const outputs = Array.from({ length: 7 }, (_, k) => ({ label: `output ${k}`, sizes: Float64Array.of(k + 1, 1) }));
    const svg = chartSvg(summaryBarsChart({ names: ['a', 'b'], outputs, rows: 3, what: 'scores' }, 20));
    expect(textsOf(svg)).toEqual(
      expect.arrayContaining(['output 6', 'output 5', 'output 4', 'output 3', '3 other outputs', '28', '7']),
    );
    const widths = numbersOf(marksOf(svg, 'rect'), 'width');
    expectClose(
      widths.slice(0, 5),
      [7, 6, 5, 4, 6].map((size) => (size / 7) * widths[0]!),
      { atol: 1e-6 },
    );
  });

  test('features that do nothing have bars of no length', () => {
    const svg = chartSvg(barsOf(makeTable(10, 3, () => 0)));
    expect(numbersOf(marksOf(svg, 'rect'), 'width')).toEqual([0, 0, 0]);
    expect(svg).not.toContain('NaN');
  });
});

describe('beeswarm', () => {
  test('each row is a dot at its SHAP value, and none hides another', () => {
    const table = makeTable(60, 3);
    const svg = marksOf(chartSvg(beeswarmChart(table, 20)), 'dot');
    const [cx, cy] = [numbersOf(svg, 'cx'), numbersOf(svg, 'cy')];
    expect(cx).toHaveLength(180);
    const [low, high] = [Math.min(...table.values), Math.max(...table.values)];
    const [left, right] = [Math.min(...cx), Math.max(...cx)];
    const places = [...table.values].map((value) => left + ((value - low) / (high - low)) * (right - left));
    expectClose(
      cx.toSorted((a, b) => a - b),
      places.sort((a, b) => a - b),
      { atol: 1e-6 },
    );
    for (let i = 0; i < cx.length; i++) {
      for (let k = 0; k < i; k++) expect(Math.hypot(cx[i]! - cx[k]!, cy[i]! - cy[k]!)).toBeGreaterThan(0.5);
    }
  });

  test('dots stay within the line of their feature', () => {
    const table = makeTable(2000, 1, () => 0);
    const svg = chartSvg(beeswarmChart(table, 20));
    const cy = numbersOf(marksOf(svg, 'dot'), 'cy');
    expect(cy).toHaveLength(500);
    expect(Math.max(...cy) - Math.min(...cy)).toBeLessThan(28);
    expect(textsOf(svg).join()).toContain('500 of 2,000 rows, evenly by rank');
  });

  test('a sample keeps the largest and the smallest effect', () => {
    const table = makeTable(3000, 1);
    const all = marksOf(chartSvg(beeswarmChart(table, 20)), 'dot');
    const ends = { ...makeTable(2, 1), values: Float64Array.of(Math.min(...table.values), Math.max(...table.values)) };
    const both = numbersOf(marksOf(chartSvg(beeswarmChart(ends, 20)), 'dot'), 'cx');
    const cx = numbersOf(all, 'cx');
    expectClose([Math.min(...cx), Math.max(...cx)], both, { atol: 1e-6 });
  });

  test('missing values have a colour of their own, which the legend names', () => {
    const table = makeTable(20, 2);
    expect(textsOf(chartSvg(beeswarmChart(table, 20)))).not.toContain('no value');
    table.rows[4] = Number.NaN;
    const chart = beeswarmChart(table, 20);
    expect(chart.legend).toContainEqual({ label: 'no value', colour: chartColours.neutral });
    expect(marksOf(chartSvg(chart), 'dot').match(new RegExp(`"${lightTheme.neutral}"`, 'g'))).toHaveLength(1);
  });

  test('low and high values of a feature differ in colour, whatever its outliers', () => {
    const table = makeTable(101, 1, (x) => x[0]!);
    table.rows.set(Array.from({ length: 101 }, (_, i) => (i === 100 ? 1e6 : i)));
    const colours = new Set(
      [...marksOf(chartSvg(beeswarmChart(table, 20)), 'dot').matchAll(/fill="(rgb[^"]*)"/g)].map(([, c]) => c),
    );
    expect(colours.size).toBe(9);
  });
});

describe('dependence', () => {
  test('dots stand over the value of the feature, coloured by the feature that changes its effect', () => {
    const table = makeTable(500, 4, (x, j) => (j === 1 ? x[1]! * x[3]! : x[j]!));
    expect(strongestInteraction(table, 1)).toBe(3);
    const svg = chartSvg(dependenceChart(table, 1));
    expect(numbersOf(marksOf(svg, 'dot'), 'cx')).toHaveLength(500);
    expect(textsOf(svg).some((text) => /^zone 4 \[°C\]: \u22121\.\d+ or less$/.test(text))).toBe(true);
    expect(textsOf(svg)).toEqual(expect.arrayContaining(['Effect of zone 2 [°C]', 'zone 2 [°C]', '500 rows']));
  });

  test('effects that no other feature changes are of one colour', () => {
    const table = makeTable(500, 4);
    expect(strongestInteraction(table, 1)).toBeUndefined();
    expect(dependenceChart(table, 1).legend).toBeUndefined();
    expect(dependenceChart(table, 1).subtitle).toContain('no other feature clearly changes the effect');
  });

  test('an interaction is found among missing values, and rows without the value itself are counted', () => {
    const table = makeTable(500, 4, (x, j) => (j === 1 ? x[1]! * x[3]! : x[j]!));
    for (let row = 0; row < 100; row++) {
      table.rows[row * 4 + 1] = Number.NaN;
      table.values[row * 4 + 1] = 0.25;
      table.rows[row * 20 + 3] = Number.NaN;
    }
    expect(strongestInteraction(table, 1)).toBe(3);
    const chart = dependenceChart(table, 1);
    expect(chart.subtitle).toBe('400 rows · 100 without a value, mean SHAP 0.25');
    expect(numbersOf(marksOf(chartSvg(chart), 'dot'), 'cx')).toHaveLength(400);
  });

  test('a feature without any value is an empty chart', () => {
    const table = makeTable(5, 1, () => 0);
    table.rows.fill(Number.NaN);
    expect(chartSvg(dependenceChart(table, 0))).not.toContain('<circle');
  });
});

describe('waterfall', () => {
  const table = makeTable(12, 40);
  const svg = chartSvg(shapWaterfallChart(table, 1, 'K2'));

  test('what is written adds up', () => {
    for (const [row, prediction] of table.predictions.entries()) {
      const texts = textsOf(marksOf(chartSvg(shapWaterfallChart(table, row, 'K2')), 'text'));
      const figures = texts.filter((text) => /^[+\u2212]?\d+(\.\d+)?$/.test(text)).map(numberOf);
      expect(figures).toHaveLength(13 + 2);
      const [base, last] = figures.slice(-2);
      expect(base).toBe(40);
      expect(last).toBeCloseTo(prediction, 1);
      expect(figures.slice(0, 13).reduce((sum, amount) => sum + amount, base!)).toBeCloseTo(last!, 9);
    }
  });

  test('the largest effects come first, with their values and units, the others as one', () => {
    const effects = [...table.values.subarray(40, 80)].map((value, j) => ({ value, j }));
    effects.sort((a, b) => Math.abs(b.value) - Math.abs(a.value));
    const value = String(Number(table.rows[40 + effects[0]!.j]!.toPrecision(4))).replace('-', '\u2212');
    const lines = titlesOf(svg);
    expect(lines.slice(0, 2)).toEqual(['usual (expected value)', `zone ${effects[0]!.j + 1}: ${value} °C`]);
    expect(lines.slice(-2)).toEqual(['28 other features', 'this row']);
    expect(lines).toHaveLength(15);
  });

  test('bars lead from the expected value to the prediction', () => {
    const rects = marksOf(svg, 'rect');
    const [x, width] = [numbersOf(rects, 'x'), numbersOf(rects, 'width')];
    const effects = [...table.values.subarray(40, 80)].sort((a, b) => Math.abs(b) - Math.abs(a)).slice(0, 12);
    const unit = width[0]! / Math.abs(effects[0]!);
    let end = effects[0]! > 0 ? x[0]! : x[0]! + width[0]!;
    for (const [i, effect] of effects.entries()) {
      expectClose([x[i]!, width[i]!], [Math.min(end, end + effect * unit), Math.abs(effect) * unit], { atol: 1e-6 });
      end += effect * unit;
    }
  });

  test('a missing value is told, and a row like the expected one has no bars', () => {
    const flat = makeTable(2, 2, () => 0);
    flat.rows[0] = Number.NaN;
    const drawn = chartSvg(shapWaterfallChart(flat, 0, 'row 1'));
    expect(titlesOf(drawn)).toContain('zone 1: no value');
    expect(numbersOf(marksOf(drawn, 'rect'), 'width')).toEqual([0, 0]);
    expect(drawn).not.toContain('NaN');
  });
});

const charts: [string, (table: ShapTable) => Chart][] = [
  ['summary', (table) => barsOf(table)],
  ['beeswarm', (table) => beeswarmChart(table, 20)],
  ['dependence', (table) => dependenceChart(table, 0)],
  ['waterfall', (table) => shapWaterfallChart(table, 0, 'row 1')],
];

describe.each(charts)('the %s', (_, draw) => {
  test('has the same bytes each time, a PNG of twice its size, and other colours on dark ground', async () => {
    const chart = draw(makeTable(50, 6));
    const svg = chartSvg(chart);
    expect(chartSvg(draw(makeTable(50, 6)))).toBe(svg);
    const size = await sharp(Buffer.from(svg)).metadata();
    const [light, again, dark] = await Promise.all([chartPng(chart), chartPng(chart), chartPng(chart, 'dark')]);
    expect(Buffer.compare(light, again)).toBe(0);
    expect(Buffer.compare(light, dark)).not.toBe(0);
    expect(await sharp(light).metadata()).toMatchObject({ width: 2 * size.width!, height: 2 * size.height! });
    const darkSvg = chartSvg(chart, 'dark');
    expect(darkSvg).toContain(darkTheme.paper);
    expect(darkSvg).not.toMatch(/prefers-color-scheme|var\(/);
    expect(textsOf(darkSvg)).toEqual(textsOf(svg));
  });

  test('draws a single row', () => {
    expect(chartSvg(draw(makeTable(1, 3)))).not.toContain('NaN');
  });
});
