import { PatchlineError } from '../../shared/errors.js';

// n rows, m background rows, D features, K outputs.

/** On which scale outputs are explained: before or after the model's last activation, or what a model without one gives. */
export type Scale = 'margin' | 'probability' | 'output';

/** Shapley values of rows: values, summed over the features, and the expected value make the prediction. */
export interface Attribution {
  scale: Scale;
  K: number;
  /** (n, D, K) */
  values: Float64Array<ArrayBuffer>;
  /** (K): the prediction where nothing is known of a row. */
  expected: Float64Array<ArrayBuffer>;
  /** (n, K) */
  predictions: Float64Array<ArrayBuffer>;
}

export interface Question {
  /** (n, D) */
  rows: Float64Array;
  /** (m, D) */
  background?: Float64Array;
  /** Training weight of each node of the trees. */
  nodeCover?: ArrayLike<number>;
  /** Default: margins of trees and linear models, else the output as it stands. */
  scale?: 'margin' | 'probability';
  /** One of the outputs; default: all. */
  target?: number;
  /** Is told how many more rows are done. */
  onRows?: (count: number) => void;
}

/** Values (n, features, K) of the features of a model as those of the columns (n, D, K) that they are made of; others get 0. */
export function valuesOfColumns(
  values: Float64Array,
  columns: ArrayLike<number>,
  D: number,
  K: number,
): Float64Array<ArrayBuffer> {
  const features = columns.length;
  const n = values.length / (features * K);
  const spread = new Float64Array(n * D * K);
  for (let row = 0; row < n; row++) {
    for (let feature = 0; feature < features; feature++) {
      const from = (row * features + feature) * K;
      spread.set(values.subarray(from, from + K), (row * D + columns[feature]!) * K);
    }
  }
  return spread;
}

/**
 * The theorem that every method promises: expected value and values sum to the prediction. Returns the largest gap.
 *
 * @param hint what to say then about the cause
 * @throws EXPLANATION_INCONSISTENT where one is more than `tolerance` of the largest prediction or value
 */
export function assertAdditive(
  { values, expected, predictions, K }: Attribution,
  tolerance: number,
  hint = '',
): number {
  const n = predictions.length / K;
  const D = values.length / predictions.length;
  const scale = largest(values, largest(predictions, largest(expected, Number.MIN_VALUE)));
  let gap = 0;
  for (let i = 0; i < predictions.length; i++) {
    const [row, k] = [Math.floor(i / K), i % K];
    let sum = expected[k]!;
    for (let j = 0; j < D; j++) sum += values[(row * D + j) * K + k]!;
    const own = Math.abs(sum - predictions[i]!);
    gap = Math.max(gap, own);
    if (own <= tolerance * scale) continue; // false for NaN
    throw new PatchlineError(
      'EXPLANATION_INCONSISTENT',
      `Expected base value and Shapley values of row ${row} to add up to ${predictions[i]} for output ${k} but they miss ` +
        `it by ${own}${hint}`,
      { details: { row, output: k, gap: own, rows: n } },
    );
  }
  return gap;
}

/**
 * The outputs that are asked for, of K.
 *
 * @throws ARGUMENT_INVALID
 */
export function outputsOf({ target }: Pick<Question, 'target'>, K: number): number[] {
  if (target === undefined) return Array.from({ length: K }, (_, k) => k);
  if (target < K) return [target];
  throw new PatchlineError(
    'ARGUMENT_INVALID',
    `Expected an output from 0 to ${K - 1} for --target but received ${target}`,
  );
}

/** Of numbers (…, K) those of some outputs. */
export const pickOutputs = (numbers: Float64Array, K: number, outputs: readonly number[]): Float64Array<ArrayBuffer> =>
  Float64Array.from(numbers).filter((_, i) => outputs.includes(i % K));

/** The mean of rows (n, K): (K). */
export function meanRow(rows: Float64Array, K: number): Float64Array<ArrayBuffer> {
  const mean = new Float64Array(K);
  for (let i = 0; i < rows.length; i++) mean[i % K]! += rows[i]!;
  return mean.map((sum) => sum / (rows.length / K));
}

/** The largest size of a value, at least `least`. */
export function largest(values: ArrayLike<number>, least = 0): number {
  let size = least;
  for (let i = 0; i < values.length; i++) size = Math.max(size, Math.abs(values[i]!));
  return size;
}

/** @throws ARGUMENT_INVALID */
export function requireBackground({ background }: Question, method: string): Float64Array {
  if (background !== undefined) return background;
  throw new PatchlineError(
    'ARGUMENT_INVALID',
    `Expected --background, usual rows to compare with, for the method ${method} but received none`,
  );
}
