import { median } from '../../shared/kernels/quantile.js';

/** The median of each column (n, D), without missing values, as float32: (D). */
export function columnMedians(rows: Float64Array, D: number): Float64Array<ArrayBuffer> {
  return Float64Array.from({ length: D }, (_, j) => Math.fround(median(presentIn(rows, D, j))));
}

/** The values of a column, without missing ones. */
export const presentIn = (rows: Float64Array, D: number, j: number): Float64Array =>
  rows.filter((value, i) => i % D === j && !Number.isNaN(value));

/** Rows (n, D) as float32 numbers, as models are given them, with medians for missing values. */
export const imputed = (rows: Float64Array, medians: Float64Array): Float64Array<ArrayBuffer> =>
  rows.map((value, i) => (Number.isNaN(value) ? medians[i % medians.length]! : Math.fround(value)));
