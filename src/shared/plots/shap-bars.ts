import * as Plot from '@observablehq/plot';
import type { Chart } from './chart.js';
import { chartColours } from './chart-colours.js';
import { nameMargin, nameMark } from './name-column.js';
import { countText, numberText } from './number-text.js';
import { chooseFeatures, othersName } from './shap-table.js';

/** Mean sizes of the Shapley values of one output. */
export interface SizesOfOutput {
  label: string;
  /** (D) */
  sizes: Float64Array;
}

export interface SummaryBars {
  names: readonly string[];
  /** Several are stacked. */
  outputs: readonly SizesOfOutput[];
  /** How many rows they are the means of. */
  rows: number;
  what: string;
}

const rowHeight = 24;
const colours = [chartColours.good, chartColours.suspicious, chartColours.third, chartColours.fourth];
const colourOf = (k: number): string => colours[k] ?? chartColours.neutral;
const sum = (numbers: readonly number[]): number => numbers.reduce((total, number) => total + number, 0);

/** How far each feature moves the prediction on average, largest first; what is beyond `most` is one bar. */
export function summaryBarsChart({ names, outputs, rows, what }: SummaryBars, most: number): Chart {
  const series = joinSmallOutputs(outputs);
  const bars = barsOf(names, series, most);
  const labels = bars.map(({ name }) => name);
  const longest = Math.max(...bars.map(({ total }) => total));
  const segments = bars.flatMap(({ parts }, y) =>
    parts.map((part, k) => {
      const start = sum(parts.slice(0, k));
      return { x1: start, x2: start + part, top: y - 0.36, bottom: y + 0.36, colour: colourOf(k) };
    }),
  );
  return {
    title: 'How much each feature moves the prediction',
    subtitle: `Mean size of its SHAP values over ${countText(rows)} ${rows === 1 ? 'row' : 'rows'} · ${what}`,
    legend: series.length > 1 ? series.map(({ label }, k) => ({ label, colour: colourOf(k) })) : [],
    width: 760,
    height: bars.length * rowHeight + 66,
    marginTop: 12,
    marginLeft: nameMargin(labels),
    marginRight: 72, // for the figure of the longest bar
    x: { label: 'mean |SHAP|', domain: [0, longest || 1] },
    y: { axis: null, grid: false, type: 'linear', domain: [bars.length - 0.5, -0.5] },
    marks: [
      Plot.rect(segments, { x1: 'x1', x2: 'x2', y1: 'top', y2: 'bottom', fill: 'colour' }),
      Plot.ruleX([0]),
      nameMark(labels),
      Plot.text(bars, {
        x: 'total',
        y: (_, y) => y,
        text: ({ total }) => numberText(total),
        textAnchor: 'start',
        dx: 6,
      }),
    ],
  };
}

interface Bar {
  name: string;
  total: number;
  /** Of each output. */
  parts: number[];
}

function barsOf(names: readonly string[], series: readonly SizesOfOutput[], most: number): Bar[] {
  const totals = names.map((_, j) => sum(series.map(({ sizes }) => sizes[j]!)));
  const { shown, others } = chooseFeatures(totals, most);
  const bar = (name: string, members: readonly number[]): Bar => ({
    name,
    total: sum(members.map((j) => totals[j]!)),
    parts: series.map(({ sizes }) => sum(members.map((j) => sizes[j]!))),
  });
  const bars = shown.map((j) => bar(names[j]!, [j]));
  return others.length > 0 ? [...bars, bar(othersName(others), others)] : bars;
}

/** Outputs beyond the colours that there are make one series. */
function joinSmallOutputs(outputs: readonly SizesOfOutput[]): readonly SizesOfOutput[] {
  if (outputs.length <= colours.length + 1) return outputs;
  const ranked = outputs.toSorted((a, b) => sum([...b.sizes]) - sum([...a.sizes]));
  const rest = ranked.slice(colours.length);
  const sizes = rest[0]!.sizes.map((_, j) => sum(rest.map((output) => output.sizes[j]!)));
  return [...ranked.slice(0, colours.length), { label: `${rest.length} other outputs`, sizes }];
}
