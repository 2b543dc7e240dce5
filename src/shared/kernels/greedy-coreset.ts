import { PatchlineError } from '../errors.js';
import { rowCount } from './shape.js';

// N rows of D values.

export interface Coreset {
  /** The chosen rows in the order of choice; begins with the start rows. */
  index: Int32Array;
  /** For each row chosen after the start rows, its distance to the rows chosen before it: never grows. */
  radius: Float64Array;
}

/**
 * Greedy k-center (Gonzalez 1985; the coreset of PatchCore): again and again the row farthest from all rows chosen so far, the
 * lowest one where several are equally far. The start rows belong to the selection.
 *
 * Where only copies of chosen rows are left, every distance is 0 and row 0 is chosen again and again. Takes size·N·D steps; the
 * plain reference of every faster form.
 *
 * @param rows (N, D)
 * @param size how many rows to choose, the start rows included
 * @throws SHAPE_MISMATCH
 */
export function greedyCoreset(rows: Float32Array, D: number, size: number, startRows: readonly number[]): Coreset {
  const N = rowCount('rows', rows, D);
  if (!(startRows.length >= 1 && startRows.length <= size && size <= N)) {
    throw new PatchlineError(
      'SHAPE_MISMATCH',
      `Expected 1 <= start rows <= size <= rows for a coreset but received ${startRows.length}, ${size} and ${N}`,
    );
  }
  const index = new Int32Array(size);
  const radius = new Float64Array(size - startRows.length);
  const squaredDistance = new Float64Array(N).fill(Number.POSITIVE_INFINITY);

  for (let chosen = 0; chosen < size; chosen++) {
    const row = chosen < startRows.length ? startRows[chosen]! : farthest(squaredDistance);
    if (chosen >= startRows.length) radius[chosen - startRows.length] = Math.sqrt(squaredDistance[row]!);
    index[chosen] = row;
    for (let n = 0; n < N; n++) {
      let sum = 0;
      for (let d = 0; d < D; d++) {
        const difference = rows[n * D + d]! - rows[row * D + d]!;
        sum += difference * difference;
      }
      if (sum < squaredDistance[n]!) squaredDistance[n] = sum;
    }
  }
  return { index, radius };
}

function farthest(distance: Float64Array): number {
  let best = 0;
  for (let n = 1; n < distance.length; n++) if (distance[n]! > distance[best]!) best = n;
  return best;
}
