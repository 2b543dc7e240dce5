import { PatchlineError } from '../errors.js';
import { rowCount } from './shape.js';

// N rows of D values.

/**
 * What the first distances are. `rows`: these are taken first, in their order. `meanDistanceTo`: each row's mean distance to
 * these, none of which is taken (the sampler of patchcore-inspection, the authors' program); its square is rounded to float32,
 * so that equal means stay equal in whatever order they are summed.
 */
export type CoresetStart = { rows: readonly number[] } | { meanDistanceTo: readonly number[] };

export interface Coreset {
  /** The chosen rows in the order of choice; begins with the start rows where these belong to it. */
  index: Int32Array;
  /** For each row chosen after these, its distance to the rows chosen before it: never grows. */
  radius: Float64Array;
}

/**
 * Greedy k-center (Gonzalez 1985; the coreset of PatchCore): again and again the row farthest from all rows chosen so far, the
 * lowest one where several are equally far.
 *
 * Where only copies of chosen rows are left, every distance is 0 and row 0 is chosen again and again. Takes size·N·D steps; the
 * plain reference of every faster form.
 *
 * @param rows (N, D)
 * @param size how many rows to choose, start rows that belong to the selection included
 * @throws SHAPE_MISMATCH
 */
export function greedyCoreset(rows: Float32Array, D: number, size: number, start: CoresetStart): Coreset {
  const N = rowCount('rows', rows, D);
  const startRows = 'rows' in start ? start.rows : [];
  const starts = 'rows' in start ? start.rows.length : start.meanDistanceTo.length;
  if (!(starts >= 1 && startRows.length <= size && size <= N)) {
    throw new PatchlineError(
      'SHAPE_MISMATCH',
      `Expected 1 <= start rows <= size <= rows for a coreset but received ${starts}, ${size} and ${N}`,
    );
  }
  const index = new Int32Array(size);
  const radius = new Float64Array(size - startRows.length);
  const squaredDistance = new Float64Array(N).fill(Number.POSITIVE_INFINITY);
  if ('meanDistanceTo' in start) squaredDistance.set(squaredMeanDistances(rows, D, start.meanDistanceTo));

  for (let chosen = 0; chosen < size; chosen++) {
    const row = chosen < startRows.length ? startRows[chosen]! : farthest(squaredDistance);
    if (chosen >= startRows.length) radius[chosen - startRows.length] = Math.sqrt(squaredDistance[row]!);
    index[chosen] = row;
    for (let n = 0; n < N; n++) {
      const square = squareOfDistance(rows, D, n, row);
      if (square < squaredDistance[n]!) squaredDistance[n] = square;
    }
  }
  return { index, radius };
}

/** (N) */
function squaredMeanDistances(rows: Float32Array, D: number, others: readonly number[]): Float32Array {
  return Float32Array.from({ length: rows.length / D }, (_, n) => {
    let sum = 0;
    for (const other of others) sum += Math.sqrt(squareOfDistance(rows, D, n, other));
    return (sum / others.length) ** 2;
  });
}

function squareOfDistance(rows: Float32Array, D: number, a: number, b: number): number {
  let sum = 0;
  for (let d = 0; d < D; d++) {
    const difference = rows[a * D + d]! - rows[b * D + d]!;
    sum += difference * difference;
  }
  return sum;
}

function farthest(distance: Float64Array): number {
  let best = 0;
  for (let n = 1; n < distance.length; n++) if (distance[n]! > distance[best]!) best = n;
  return best;
}
