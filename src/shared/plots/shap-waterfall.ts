import * as Plot from '@observablehq/plot';
import type { Chart } from './chart.js';
import { chartColours } from './chart-colours.js';
import { fitText } from './fit-text.js';
import { nameMargin, nameMark } from './name-column.js';
import { fixedText, numberText, signedText } from './number-text.js';
import { chooseFeatures, nameAndUnit, othersName, type ShapTable } from './shap-table.js';

const width = 760;
const rowHeight = 30;
/** Of a bar, in rows. */
const halfBar = 0.36;
const most = 12;

interface Step {
  name: string;
  from: number;
  to: number;
}

/** How the features of one row lead from the expected value to its prediction, the largest effect first. */
export function shapWaterfallChart(table: ShapTable, row: number, rowName: string): Chart {
  const { what, expected } = table;
  const steps = stepsOf(table, row);
  const prediction = table.predictions[row]!;
  const ends = [expected, ...steps.map(({ to }) => to)];
  const [low, high] = [Math.min(...ends), Math.max(...ends)];
  const decimals = decimalsFor(high - low || Math.abs(expected));
  const number = (value: number) => fixedText(value, decimals);
  const rounded = (value: number) => Number(value.toFixed(decimals));
  const amounts = steps.map(({ from, to }) => signedText(rounded(to) - rounded(from), decimals));
  const names = ['usual (expected value)', ...steps.map(({ name }) => name), 'this row'];
  const last = names.length - 1;
  const margin = (high - low || 1) * 0.04;
  const totals = [
    { y: 0, x: expected },
    { y: last, x: prediction },
  ];
  return {
    title: fitText(`Why the prediction is ${number(prediction)} for ${rowName}`, width - 32, { size: 17, bold: true }),
    subtitle: `From what is usual to this row; the amounts add up · ${what}`,
    legend: [
      { label: 'raises the prediction', colour: chartColours.suspicious },
      { label: 'lowers the prediction', colour: chartColours.good },
    ],
    width,
    height: names.length * rowHeight + 66,
    marginTop: 12,
    marginLeft: nameMargin(names),
    marginRight: 80, // for amounts
    x: { label: what, domain: [low - margin, high + margin] },
    y: { axis: null, grid: false, type: 'linear', domain: [last + 0.5, -0.5] },
    marks: [
      Plot.ruleX(ends.slice(0, last), {
        x: (end) => end,
        y1: (_, i) => i + halfBar,
        y2: (_, i) => i + 1 - halfBar,
        stroke: chartColours['faint-ink'],
      }),
      Plot.rect(steps, {
        x1: ({ from, to }) => Math.min(from, to),
        x2: ({ from, to }) => Math.max(from, to),
        y1: (_, i) => i + 1 - halfBar,
        y2: (_, i) => i + 1 + halfBar,
        fill: ({ from, to }) => (to < from ? chartColours.good : chartColours.suspicious),
      }),
      Plot.ruleX(totals, { x: 'x', y1: ({ y }) => y - halfBar, y2: ({ y }) => y + halfBar, strokeWidth: 4 }),
      nameMark(names),
      Plot.text(steps, {
        x: ({ from, to }) => Math.max(from, to),
        y: (_, i) => i + 1,
        text: (_, i) => amounts[i]!,
        textAnchor: 'start',
        dx: 6,
      }),
      Plot.text(totals, { x: 'x', y: 'y', text: ({ x }) => number(x), fontWeight: 700, textAnchor: 'start', dx: 8 }),
    ],
  };
}

function stepsOf({ names, rows, values, expected }: ShapTable, row: number): Step[] {
  const D = names.length;
  const effects = values.subarray(row * D, (row + 1) * D);
  const { shown, others } = chooseFeatures(effects.map(Math.abs), most);
  const parts = shown.map((j) => ({ name: describe(names[j]!, rows[row * D + j]!), effect: effects[j]! }));
  if (others.length > 0)
    parts.push({ name: othersName(others), effect: others.reduce((sum, j) => sum + effects[j]!, 0) });
  let from = expected;
  return parts.map(({ name, effect }) => {
    const to = from + effect;
    const step = { name, from, to };
    from = to;
    return step;
  });
}

/** As in "melt temperature: 231 °C". */
function describe(feature: string, value: number): string {
  const { name, unit } = nameAndUnit(feature);
  return `${name}: ${Number.isNaN(value) ? 'no value' : numberText(value, 4) + unit}`;
}

/** Three digits of a difference of this size. */
const decimalsFor = (size: number): number =>
  size > 0 ? Math.min(100, Math.max(0, 2 - Math.floor(Math.log10(size)))) : 0;
