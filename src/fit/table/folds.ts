import { createRandom } from '../../shared/kernels/random.js';
import type { Target } from './training-table.js';

/** The fold (n) of each row, 0 to `folds` - 1: by chance, every fold with its share of each class. */
export function dealFolds({ values, classes }: Target, folds: number, seed: number): Int32Array<ArrayBuffer> {
  const order = createRandom(seed).permutation(values.length);
  if (classes) order.sort((a, b) => values[a]! - values[b]!);
  const foldOf = new Int32Array(values.length);
  for (const [turn, row] of order.entries()) foldOf[row] = turn % folds;
  return foldOf;
}

/** The rows (n, width) that pass. */
export function filterRows(rows: Float64Array, width: number, passes: (row: number) => boolean) {
  return rows.filter((_, i) => passes(Math.floor(i / width)));
}
