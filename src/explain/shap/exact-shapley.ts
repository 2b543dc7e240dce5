import { PatchlineError } from '../../shared/errors.js';
import { rowCount } from '../../shared/kernels/shape.js';

// A row has n features; the background is (m, n). A coalition is a bitmask: bit j set means that feature j is the row's own.

/** A model of rows (count, n): one number for each. The rows are its only until it returns; they are then overwritten. */
export type RowModel = (rows: Float64Array, count: number) => ArrayLike<number>;

export interface ShapleyExplanation {
  /** One for each feature; together with `baseValue` they sum to `prediction`. */
  values: Float64Array<ArrayBuffer>;
  /** The mean prediction over the background. */
  baseValue: number;
  prediction: number;
  /** What the sum misses of the prediction: rounding only. */
  additivityGap: number;
}

const maxFeatures = 16;

/**
 * Exact Shapley values of one prediction, interventional: v(S) is the mean prediction over the background with the features
 * of S replaced by those of `x`, and all 2ⁿ coalitions are evaluated (Shapley 1953; Lundberg and Lee, arXiv:1705.07874).
 *
 * The model is called once a coalition, on m rows at a time, and once on `x` alone. A feature that it ignores gets exactly 0.
 *
 * @param x (n), at most 16 features
 * @param background (m, n)
 * @throws SHAPE_MISMATCH
 * @throws EXPLANATION_INCONSISTENT where the values do not add up to the prediction within 1e-6 of the largest v(S): the model
 *   answers the same row differently from call to call, or not with a finite number
 */
export function exactShapley(
  predict: RowModel,
  x: ArrayLike<number>,
  background: ArrayLike<number>,
  n: number,
): ShapleyExplanation {
  const coalitions = coalitionValues(predict, x, background, n);
  const values = shapleyValues(coalitions, n);
  const baseValue = coalitions[0]!;
  const prediction = predict(Float64Array.from(x), 1)[0]!;
  const additivityGap = Math.abs(values.reduce((sum, value) => sum + value, baseValue) - prediction);
  const scale = coalitions.reduce((largest, value) => Math.max(largest, Math.abs(value)), 0);
  if (additivityGap <= 1e-6 * scale) return { values, baseValue, prediction, additivityGap };
  throw new PatchlineError(
    'EXPLANATION_INCONSISTENT',
    `Expected base value and Shapley values to add up to the prediction ${prediction} but they miss it by ${additivityGap}`,
    { details: { baseValue, prediction, additivityGap } },
  );
}

/**
 * v(S) of every coalition, by bitmask: (2ⁿ). The coalitions are visited in Gray order, in which one feature changes at a time.
 *
 * @throws SHAPE_MISMATCH
 */
export function coalitionValues(
  predict: RowModel,
  x: ArrayLike<number>,
  background: ArrayLike<number>,
  n: number,
): Float64Array<ArrayBuffer> {
  const m = rowCount('background', background, n);
  if (x.length !== n || n < 1 || n > maxFeatures || m < 1) {
    throw new PatchlineError(
      'SHAPE_MISMATCH',
      `Expected a row of 1 to ${maxFeatures} features and a background of one row or more but received ${x.length} features and (${m}, ${n})`,
    );
  }
  const rows = Float64Array.from(background);
  const values = new Float64Array(2 ** n);
  for (let step = 0; step < values.length; step++) {
    const mask = step ^ (step >>> 1);
    if (step > 0) {
      const j = 31 - Math.clz32(step & -step);
      const own = (mask >>> j) & 1;
      for (let i = j; i < rows.length; i += n) rows[i] = own ? x[j]! : background[i]!;
    }
    const predictions = predict(rows, m);
    let sum = 0;
    for (let i = 0; i < m; i++) sum += predictions[i]!;
    values[mask] = sum / m;
  }
  return values;
}

/**
 * Shapley values of a game given by v(S) of every coalition: φ_j = Σ_S |S|! (n - |S| - 1)! / n! · (v(S + j) - v(S)).
 *
 * @param coalitions (2ⁿ), by bitmask @returns (n)
 */
export function shapleyValues(coalitions: Float64Array, n: number): Float64Array<ArrayBuffer> {
  const weights = coalitionWeights(n);
  const values = new Float64Array(n);
  for (let mask = 0; mask < coalitions.length; mask++) {
    const weight = weights[bitCount(mask)]!;
    for (let j = 0; j < n; j++) {
      if (((mask >>> j) & 1) === 0) values[j]! += weight * (coalitions[mask | (1 << j)]! - coalitions[mask]!);
    }
  }
  return values;
}

/** s! (n - s - 1)! / n! for s = 0 .. n - 1, each from the one before. */
function coalitionWeights(n: number): Float64Array {
  const weights = new Float64Array(n + 1);
  weights[0] = 1 / n;
  for (let s = 1; s < n; s++) weights[s] = (weights[s - 1]! * s) / (n - s);
  return weights;
}

function bitCount(mask: number): number {
  let count = 0;
  for (let rest = mask; rest !== 0; rest &= rest - 1) count++;
  return count;
}
