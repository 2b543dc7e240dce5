import * as Plot from '@observablehq/plot';
import type { Chart } from './chart.js';
import { chartColours } from './chart-colours.js';
import { nameMargin, nameMark } from './name-column.js';
import {
  chooseFeatures,
  columnOf,
  meanSizes,
  othersName,
  type ShapTable,
  sampleByRank,
  sampleText,
  valueScale,
} from './shap-table.js';
import { colourOfValue, type Dot, dotMarks, valueLegend } from './value-colours.js';

const width = 760;
const laneHeight = 28;
const marginRight = 24;
/** Of all lanes: more make the drawing slow to open. */
const mostDots = 12_000;
const mostInLane = 500;

interface Lane {
  name: string;
  effects: Float64Array;
  /** The values of the feature, which several features together do not have. */
  column?: Float64Array;
}

/** Each row as a dot where its SHAP value of a feature is, in the colour of the feature's value. */
export function beeswarmChart(table: ShapTable, most: number): Chart {
  const lanes = lanesOf(table, most);
  const names = lanes.map(({ name }) => name);
  const marginLeft = nameMargin(names);
  const domain = domainOf(lanes);
  const n = table.predictions.length;
  const inLane = Math.min(n, mostInLane, Math.floor(mostDots / lanes.length));
  const radius = inLane > 100 ? 2 : 3;
  const spacing = {
    x: (2 * radius * (domain[1] - domain[0])) / (width - marginLeft - marginRight),
    y: (2 * radius) / laneHeight,
  };
  const dots = lanes.flatMap((lane, y) => dotsOfLane(lane, y, sampleByRank(lane.effects, inLane), spacing));
  const hasMissing = lanes.some(({ column }) => column?.some(Number.isNaN));
  return {
    title: 'How the values of each feature move the prediction',
    subtitle: `A dot is a row: right of 0 the feature raises the prediction, left of it lowers it · ${sampleText(inLane, n)}`,
    legend: valueLegend('low value of the feature', 'high value', hasMissing),
    width,
    height: lanes.length * laneHeight + 66,
    marginTop: 12,
    marginLeft,
    marginRight,
    x: { label: `SHAP value (${table.what})`, domain },
    y: { axis: null, grid: false, type: 'linear', domain: [lanes.length - 0.5, -0.5] },
    marks: [
      Plot.ruleY(lanes, { y: (_, y) => y, stroke: chartColours.line }),
      Plot.ruleX([0], { stroke: chartColours.neutral }),
      nameMark(names),
      ...dotMarks(dots, radius),
    ],
  };
}

function lanesOf(table: ShapTable, most: number): Lane[] {
  const D = table.names.length;
  const { shown, others } = chooseFeatures(meanSizes(table), most);
  const lanes: Lane[] = shown.map((j) => ({
    name: table.names[j]!,
    effects: columnOf(table.values, D, j),
    column: columnOf(table.rows, D, j),
  }));
  if (others.length === 0) return lanes;
  const effects = Float64Array.from(table.predictions, (_, row) =>
    others.reduce((sum, j) => sum + table.values[row * D + j]!, 0),
  );
  return [...lanes, { name: othersName(others), effects }];
}

/** Room for all dots, and for 0. */
function domainOf(lanes: readonly Lane[]): [number, number] {
  let [low, high] = [0, 0];
  for (const { effects } of lanes) {
    for (const effect of effects) [low, high] = [Math.min(low, effect), Math.max(high, effect)];
  }
  const margin = 0.02 * (high - low) || 1;
  return [low - margin, high + margin];
}

/**
 * Dots of one bin stand above each other, low values of the feature at the bottom, and move together where they need more than
 * the lane.
 */
function dotsOfLane(
  { effects, column }: Lane,
  lane: number,
  sample: readonly number[],
  spacing: { x: number; y: number },
): Dot[] {
  const scale = column && valueScale(column);
  const bins = new Map<number, number[]>();
  for (const row of sample) {
    const bin = Math.round(effects[row]! / spacing.x);
    bins.set(bin, [...(bins.get(bin) ?? []), row]);
  }
  const valueAt = (row: number) => column?.[row] ?? 0;
  return [...bins.values()].flatMap((members) => {
    const step = Math.min(spacing.y, 0.86 / members.length);
    return members
      .sort((a, b) => compareValues(valueAt(a), valueAt(b)))
      .map((row, place) => ({
        x: effects[row]!,
        y: lane - (place - (members.length - 1) / 2) * step,
        colour: column ? colourOfValue(column[row]!, scale) : chartColours['faint-ink'],
      }));
  });
}

/** Missing values last. */
const compareValues = (a: number, b: number): number => Number(Number.isNaN(a)) - Number(Number.isNaN(b)) || a - b;
