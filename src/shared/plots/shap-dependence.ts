import * as Plot from '@observablehq/plot';
import type { Chart } from './chart.js';
import { chartColours } from './chart-colours.js';
import { fitText } from './fit-text.js';
import { countText, numberText } from './number-text.js';
import { strongestInteraction } from './shap-interaction.js';
import { columnOf, type ShapTable, sampleByRank, sampleText, valueScale } from './shap-table.js';
import { colourOfValue, dotMarks, valueLegend } from './value-colours.js';

const width = 720;
const mostDots = 2000;

/** The SHAP value of a feature over its value, in the colour of the feature that seems to change its effect most. */
export function dependenceChart(table: ShapTable, feature: number): Chart {
  const { names, rows, values, what } = table;
  const D = names.length;
  const name = names[feature]!;
  const column = columnOf(rows, D, feature);
  const effects = columnOf(values, D, feature);
  const sample = sampleByRank(column, mostDots);
  const other = strongestInteraction(table, feature);
  const colouring = other === undefined ? undefined : colouringBy(names[other]!, columnOf(rows, D, other), sample);
  const dots = sample.map((row) => ({
    x: column[row]!,
    y: effects[row]!,
    colour: colouring ? colouring.colourOf(row) : chartColours.good,
  }));
  const facts = [
    sampleText(sample.length, column.filter((value) => !Number.isNaN(value)).length),
    missingText(column, effects),
    other === undefined && 'no other feature clearly changes the effect',
  ];
  return {
    title: fitText(`Effect of ${name}`, width - 32, { size: 17, bold: true }),
    subtitle: facts.filter(Boolean).join(' · '),
    legend: colouring?.legend,
    width,
    height: 420,
    marginLeft: 76,
    x: { label: fitText(name, width - 120), inset: 8 },
    y: { label: `SHAP value (${what})`, inset: 8 },
    marks: [Plot.ruleY([0], { stroke: chartColours.neutral }), ...dotMarks(dots, 2.5)],
  };
}

function colouringBy(name: string, column: Float64Array, sample: readonly number[]) {
  const scale = valueScale(column)!; // without values there is no interaction
  const hasMissing = sample.some((row) => Number.isNaN(column[row]));
  const low = `${fitText(name, 300)}: ${numberText(scale.low)} or less`;
  const high = `${numberText(scale.high)} or more`;
  return { colourOf: (row: number) => colourOfValue(column[row]!, scale), legend: valueLegend(low, high, hasMissing) };
}

/** Rows without a value have no place on the axis. */
function missingText(column: Float64Array, effects: Float64Array): string | undefined {
  const own = effects.filter((_, row) => Number.isNaN(column[row]));
  if (own.length === 0) return undefined;
  const mean = own.reduce((sum, effect) => sum + effect, 0) / own.length;
  return `${countText(own.length)} without a value, mean SHAP ${numberText(mean)}`;
}
