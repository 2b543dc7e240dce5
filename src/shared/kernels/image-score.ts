import { PatchlineError } from '../errors.js';

export interface MaxScore {
  score: number;
  /** Where it stands; the first of equal ones. */
  patch: number;
}

/** The largest patch score and its patch. NaN counts as the largest. Error: SHAPE_MISMATCH for no values. */
export function maxScore(values: Float32Array | Float64Array): MaxScore {
  if (values.length === 0)
    throw new PatchlineError('SHAPE_MISMATCH', 'Expected at least one patch score but received none');
  let patch = 0;
  for (let p = 1; p < values.length && !Number.isNaN(values[patch]); p++) {
    if (!(values[p]! <= values[patch]!)) patch = p;
  }
  return { score: values[patch]!, patch };
}

/**
 * The mean of the `count` largest values; NaN among the values gives NaN. A native sort of one image's patches takes
 * microseconds, less than any selection of our own would save.
 *
 * Error: SHAPE_MISMATCH where count is not 1 .. length.
 */
export function meanOfLargest(values: Float32Array | Float64Array, count: number): number {
  if (!(count >= 1 && count <= values.length)) {
    throw new PatchlineError(
      'SHAPE_MISMATCH',
      `Expected a count of 1 to ${values.length} values but received ${count}`,
    );
  }
  const largest = values.slice().sort().subarray(-count);
  let sum = 0;
  for (let i = 0; i < count; i++) sum += largest[i]!;
  return sum / count;
}
