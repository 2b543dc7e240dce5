import * as Plot from '@observablehq/plot';
import sharp from 'sharp';
import { expect, test } from 'vitest';
import { type Chart, chartPng, chartSvg, marginFor } from '../../../src/shared/plots/chart.js';
import { chartColours, darkTheme, lightTheme } from '../../../src/shared/plots/chart-colours.js';
import { labelOutline } from '../../../src/shared/plots/label.js';
import { expectClose } from '../../helpers/arrays.js';

const values = [0.5, 1.5, 1.6, 1.7, 2.5, 2.6, 4.5];
const counts = [1, 3, 2, 0, 1];
const chart: Chart = {
  title: 'Scores of <b>"kol"</b> & others',
  subtitle: '7 images',
  legend: [
    { label: 'good', colour: chartColours.good },
    { label: 'defective', colour: chartColours.suspicious },
  ],
  x: { label: 'anomaly score' },
  y: { label: 'images' },
  marks: [
    Plot.rectY(values, {
      ...Plot.binX({ y: 'count' }, { x: Plot.identity, thresholds: [0, 1, 2, 3, 4, 5] }),
      fill: chartColours.good,
    }),
    Plot.ruleX([2], { stroke: chartColours.suspicious }),
  ],
};

const textsOf = (svg: string) => [...svg.matchAll(/<text[^>]*>([^<]*)<\/text>/g)].map(([, text]) => text!);

test('a chart has its title, its legend and the titles of its axes', () => {
  const texts = textsOf(chartSvg(chart));
  const title = 'Scores of &lt;b&gt;"kol"&lt;/b&gt; &amp; others';
  expect(texts.slice(0, 4)).toEqual([title, '7 images', 'good', 'defective']);
  expect(texts).toEqual(expect.arrayContaining(['anomaly score', 'images']));
});

test('bars are as high as the counts', () => {
  const bars = /<g[^>]*aria-label="rect"[^>]*>(.*?)<\/g>/.exec(chartSvg(chart))![1]!;
  const heights = [...bars.matchAll(/ height="([\d.]+)"/g)].map(([, height]) => Number(height));
  const shown = counts.filter((count) => count > 0);
  expectClose(
    heights,
    shown.map((count) => (count / 3) * heights[1]!),
    { atol: 1e-6 },
  );
});

test('an SVG is whole XML in the colours of light ground, and switches where the ground is dark', async () => {
  const svg = chartSvg(chart);
  expect(await sharp(Buffer.from(svg)).metadata()).toMatchObject({ width: 640, height: 448 });
  expect(svg).not.toMatch(/var\(|currentColor/);
  for (const name of ['good', 'suspicious', 'ink', 'paper'] as const) {
    expect(svg).toMatch(new RegExp(`<[^>]* class="(?:fill|stroke)-${name}"[^>]*"${lightTheme[name]}"`));
    expect(svg).toContain(`-${name}{`);
    expect(svg).toContain(`:${darkTheme[name]}}`);
  }
});

async function pixelsOf(png: Uint8Array) {
  const { data, info } = await sharp(png).removeAlpha().raw().toBuffer({ resolveWithObject: true });
  const at = (x: number, y: number) =>
    '#' + data.subarray((y * info.width + x) * 3, (y * info.width + x) * 3 + 3).toString('hex');
  const colours = new Map<string, number>();
  for (let i = 0; i < data.length; i += 3) {
    const colour = '#' + data.subarray(i, i + 3).toString('hex');
    colours.set(colour, (colours.get(colour) ?? 0) + 1);
  }
  return { ...info, at, count: (colour: string) => colours.get(colour) ?? 0 };
}

test.each([
  ['light' as const, lightTheme],
  ['dark' as const, darkTheme],
])('a PNG has the colours of %s ground', async (ground, theme) => {
  const png = await pixelsOf(await chartPng(chart, ground));
  expect([png.width, png.height]).toEqual([1280, 896]);
  expect(png.at(0, 0)).toBe(theme.paper);
  expect(png.at(1279, 895)).toBe(theme.paper);
  expect(png.count(theme.good)).toBeGreaterThan(50_000);
  expect(png.count(theme.suspicious)).toBeGreaterThan(600); // the rule
  expect(png.count(theme.ink)).toBeGreaterThan(1000); // letters
});

test('the title of a PNG is drawn in the font that comes with patchline', async () => {
  const png = await pixelsOf(await chartPng(chart));
  const columns = Array.from({ length: png.width }, (_, x) => x).filter((x) =>
    Array.from({ length: 80 }, (_, y) => y).some((y) => png.at(x, y) !== lightTheme.paper),
  );
  const outline = labelOutline({ x: 16, y: 0, text: chart.title, size: 17, bold: true });
  const xs = [...outline.matchAll(/(-?[\d.]+) -?[\d.]+/g)].map(([, x]) => Number(x));
  expectClose([columns[0]!, columns.at(-1)!], [2 * Math.min(...xs), 2 * Math.max(...xs)], { atol: 2 });
});

test('the legend goes on in a new row where it is too wide', () => {
  const heightOf = (labels: string[]) => {
    const legend = labels.map((label) => ({ label, colour: chartColours.good }));
    return Number(/ height="(\d+)"/.exec(chartSvg({ ...chart, legend }))![1]);
  };
  const one = heightOf(['a', 'b']);
  expect(heightOf(['a'.repeat(60), 'b'.repeat(60)]) - one).toBe(22);
  expect(one - heightOf([])).toBe(22);
});

test('a margin grows with the longest name', () => {
  expect(marginFor(['edges', 'mean patch distance'])).toBeGreaterThan(marginFor(['edges']));
});
