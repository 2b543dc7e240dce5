import { PatchlineError } from '../errors.js';
import { nearestNeighbors } from './nearest-neighbors.js';

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

export interface ReweightedScore {
  score: number;
  /** What the distance was multiplied by. */
  weight: number;
  /** The bank rows nearest to the nearest row of the patch, itself first. */
  support: Int32Array;
}

/**
 * The image score of the PatchCore paper (arXiv:2106.08265, equation 7): the distance s of the most distant patch to its nearest
 * bank row m, times 1 - softmax(d)_m over the distances d of the patch to the `neighbors` bank rows nearest to m, m included. A
 * patch far from all of them keeps its distance; a bank of one row gives 0.
 *
 * @param patch (D) the most distant patch of the image
 * @param bank (M, D)
 * @throws SHAPE_MISMATCH
 */
export function reweightedScore(
  patch: Float32Array,
  bank: Float32Array,
  D: number,
  neighbors: number,
): ReweightedScore {
  const nearest = nearestNeighbors(patch, bank, D, 1);
  const row = nearest.index[0]!;
  const { index: support } = nearestNeighbors(bank.subarray(row * D, (row + 1) * D), bank, D, neighbors);
  const rows = Float32Array.from(
    { length: support.length * D },
    (_, i) => bank[support[Math.floor(i / D)]! * D + (i % D)]!,
  );
  const own = nearest.distance[0]!;
  let sum = 0;
  // e^(d - s) instead of e^d, which large distances would send to infinity.
  for (const distance of nearestNeighbors(patch, rows, D, support.length).distance) sum += Math.exp(distance - own);
  const weight = 1 - 1 / sum;
  return { score: weight * own, weight, support };
}
