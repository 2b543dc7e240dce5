import { pMapIterable } from 'p-map';
import { type Compute, threadTask } from '../../shared/compute.js';
import { createRandom } from '../../shared/kernels/random.js';
import { addLeaf, type DecisionTree, type TreeRows } from './decision-tree.js';
import { columnMedians, imputed } from './missing-values.js';
import type { TrainingTable } from './training-table.js';

// n rows, D columns, K values of a leaf.

/** The mean of trees; a missing value counts as the column's median. */
export interface Forest {
  trees: DecisionTree[];
  /** (D) */
  medians: Float64Array<ArrayBuffer>;
  classes?: string[];
  /** What is held out of each tree: (n, K), NaN for a row that every tree was grown on. */
  outOfBag: Float64Array<ArrayBuffer>;
}

export interface ForestOptions {
  trees: number;
  seed: number;
  compute: Compute;
  onTree: () => void;
}

/** ml-cart tries every split on every row, so that its time grows with the square of the rows. */
export const mostRowsOfTree = 1000;

const treeTask = threadTask<TreeRows, DecisionTree>(new URL('./tree-thread.js', import.meta.url));

/**
 * Bagging (Breiman 1996): each tree is grown on rows drawn with replacement, as many as there are, at most `mostRowsOfTree`. Every
 * row is predicted by the trees that have not seen it, which gives an honest error without further fits.
 */
export async function growForest(
  { columns, rows, target }: Pick<TrainingTable, 'columns' | 'rows' | 'target'>,
  { trees: T, seed, compute, onTree }: ForestOptions,
): Promise<Forest> {
  const [n, D] = [target.values.length, columns.length];
  const classes = target.classes?.length;
  const medians = columnMedians(rows, D);
  const whole = imputed(rows, medians);
  const random = createRandom(seed);
  const draws = Array.from({ length: T }, () =>
    Int32Array.from({ length: Math.min(n, mostRowsOfTree) }, () => random.integer(n)),
  );
  const grow = async (drawn: Int32Array) => {
    const own = new Float64Array(drawn.length * D);
    for (const [k, row] of drawn.entries()) own.set(whole.subarray(row * D, (row + 1) * D), k * D);
    const targets = Float64Array.from(drawn, (row) => target.values[row]!);
    const tree = await compute.run(treeTask, { rows: own, targets, ...(classes !== undefined && { classes }) });
    return { tree, drawn };
  };
  const held = createHeldOut(whole, n, classes ?? 1);
  const trees: DecisionTree[] = [];
  for await (const { tree, drawn } of pMapIterable(draws, grow, { concurrency: 2 * compute.threads })) {
    trees.push(tree);
    held.add(tree, drawn);
    onTree();
  }
  return { trees, medians, ...(target.classes && { classes: target.classes }), outOfBag: held.means() };
}

/** Gathers what trees say of rows that they were not grown on. */
function createHeldOut(rows: Float64Array, n: number, K: number) {
  const D = rows.length / n;
  const sums = new Float64Array(n * K);
  const counts = new Int32Array(n);
  return {
    add(tree: DecisionTree, drawn: Int32Array): void {
      const seen = new Uint8Array(n);
      for (const row of drawn) seen[row] = 1;
      for (let row = 0; row < n; row++) {
        if (seen[row]) continue;
        addLeaf(tree, rows.subarray(row * D, (row + 1) * D), sums.subarray(row * K, (row + 1) * K));
        counts[row]!++;
      }
    },
    means: () => sums.map((sum, i) => sum / counts[Math.floor(i / K)]!), // NaN where a row was never left out
  };
}

/** What the forest says of rows (n, D): (n, K). */
export function predictForest({ trees, medians, classes }: Forest, rows: Float64Array): Float64Array<ArrayBuffer> {
  const [D, K] = [medians.length, classes?.length ?? 1];
  const whole = imputed(rows, medians);
  const sums = new Float64Array((rows.length / D) * K);
  for (let row = 0; row * D < rows.length; row++) {
    const own = sums.subarray(row * K, (row + 1) * K);
    for (const tree of trees) addLeaf(tree, whole.subarray(row * D, (row + 1) * D), own);
  }
  return sums.map((sum) => sum / trees.length);
}
