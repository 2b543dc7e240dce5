import { quantile } from '../kernels/quantile.js';
import { countText } from './number-text.js';

// n rows, D features.

/** Shapley values of one output, and the rows that they belong to. */
export interface ShapTable {
  /** (D), with units, as in "melt temperature [°C]". */
  names: readonly string[];
  /** (n, D); a missing value is NaN. */
  rows: Float64Array;
  /** (n, D) */
  values: Float64Array;
  /** (n) */
  predictions: Float64Array;
  expected: number;
  /** What is explained, such as the name of the model's output. */
  what: string;
}

/** Column j of rows (n, D). */
export const columnOf = (matrix: Float64Array, D: number, j: number): Float64Array =>
  Float64Array.from({ length: matrix.length / D }, (_, row) => matrix[row * D + j]!);

/** The mean size of the values of each feature: (D). */
export function meanSizes({ values, names }: Pick<ShapTable, 'values' | 'names'>): Float64Array {
  const D = names.length;
  const sums = new Float64Array(D);
  for (let i = 0; i < values.length; i++) sums[i % D]! += Math.abs(values[i]!);
  return sums.map((sum) => sum / (values.length / D));
}

export interface Choice {
  /** The features of the largest sizes, largest first. */
  shown: number[];
  /** The rest, which stands in one row: none, or at least two. */
  others: number[];
}

/** The largest first; of equal ones the first. */
export const rankFeatures = (sizes: ArrayLike<number>): number[] =>
  Array.from(sizes, (_, j) => j).sort((a, b) => sizes[b]! - sizes[a]!);

/** Features that get a row of their own, `most` of them. */
export function chooseFeatures(sizes: ArrayLike<number>, most: number): Choice {
  const ranked = rankFeatures(sizes);
  const count = ranked.length <= most + 1 ? ranked.length : most;
  return { shown: ranked.slice(0, count), others: ranked.slice(count) };
}

export const othersName = (others: readonly number[]): string => `${others.length} other features`;

/** A name and the unit in brackets at its end. */
export function nameAndUnit(name: string): { name: string; unit: string } {
  const [, plain, unit] = /^(.*\S)\s*\[([^[\]]+)\]$/.exec(name) ?? [];
  return plain === undefined ? { name, unit: '' } : { name: plain, unit: ` ${unit}` };
}

/** Indices of at most `most` numbers that stand for all: evenly by rank, both ends among them. Missing ones are left out. */
export function sampleByRank(numbers: Float64Array, most: number): number[] {
  const ranked = [...numbers.keys()].filter((i) => !Number.isNaN(numbers[i])).sort((a, b) => numbers[a]! - numbers[b]!);
  if (ranked.length <= most) return ranked;
  return Array.from({ length: most }, (_, i) => ranked[Math.round((i * (ranked.length - 1)) / (most - 1))]!);
}

/** As in "1,000 rows", or "500 of 1,000 rows, evenly by rank". */
export function sampleText(taken: number, all: number): string {
  if (taken < all) return `${countText(taken)} of ${countText(all)} rows, evenly by rank`;
  return `${countText(all)} ${all === 1 ? 'row' : 'rows'}`;
}

/** Values of a feature that have the first and the last of the colours: the 5 % and the 95 % quantile. */
export interface ValueScale {
  low: number;
  high: number;
}

/** Undefined where no value is known. Where most values are alike, the ends are the smallest and the largest. */
export function valueScale(column: Float64Array): ValueScale | undefined {
  const known = column.filter((value) => !Number.isNaN(value));
  if (known.length === 0) return undefined;
  const scaleOf = (share: number) => ({ low: quantile(known, share), high: quantile(known, 1 - share) });
  const inner = scaleOf(0.05);
  return inner.low < inner.high ? inner : scaleOf(0);
}

/** From 0, low, to 1, high; the middle where all values are alike. */
export function placeOf(value: number, { low, high }: ValueScale): number {
  return low < high ? Math.min(1, Math.max(0, (value - low) / (high - low))) : 0.5;
}
