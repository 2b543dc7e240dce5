import { PatchlineError } from '../errors.js';

/** A sequence of numbers; typed arrays are copied in their own type. */
export type Numbers = readonly number[] | Float32Array | Float64Array;

/**
 * The q-quantile, interpolated linearly between the two sorted values around q (n - 1), as NumPy's default does.
 *
 * `values` stays as it is. Sorting a typed array of 38 million map values takes seconds, finding one rank of it a fraction
 * of one, hence the selection. Error: SHAPE_MISMATCH for no values; NaN among the values gives NaN.
 */
export function quantile(values: Numbers, q: number): number {
  expectSome(values);
  const copy = values instanceof Float32Array ? Float32Array.from(values) : Float64Array.from(values);
  if (copy.some(Number.isNaN)) return Number.NaN;
  const position = q * (copy.length - 1);
  const rank = Math.floor(position);
  const lower = select(copy, rank);
  if (position === rank) return lower;
  // Everything above the rank now lies behind it.
  let upper = Number.POSITIVE_INFINITY;
  for (let i = rank + 1; i < copy.length; i++) if (copy[i]! < upper) upper = copy[i]!;
  return lower + (upper - lower) * (position - rank);
}

/** Hoare's selection (CACM 4, 1961, 321): the value of `rank` in sorted order; reorders so that smaller ones lie before it. */
function select(values: Float32Array | Float64Array, rank: number): number {
  let left = 0;
  let right = values.length - 1;
  while (left < right) {
    const pivot = values[(left + right) >>> 1]!;
    let i = left;
    let j = right;
    while (i <= j) {
      while (values[i]! < pivot) i++;
      while (values[j]! > pivot) j--;
      if (i > j) break;
      const value = values[i]!;
      values[i++] = values[j]!;
      values[j--] = value;
    }
    if (rank <= j) right = j;
    else if (rank >= i) left = i;
    else break; // between the parts: equal to the pivot
  }
  return values[rank]!;
}

export const median = (values: Numbers): number => quantile(values, 0.5);

/** Error: SHAPE_MISMATCH for no values. */
export function mean(values: Numbers): number {
  expectSome(values);
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i]!;
  return sum / values.length;
}

/** The population variance, mean |x - mean|², in two passes. Error: SHAPE_MISMATCH for no values. */
export function variance(values: Numbers): number {
  const centre = mean(values);
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += (values[i]! - centre) ** 2;
  return sum / values.length;
}

function expectSome(values: Numbers): void {
  if (values.length === 0) throw new PatchlineError('SHAPE_MISMATCH', 'Expected at least one value but received none');
}
