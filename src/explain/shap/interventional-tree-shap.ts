import {
  canMeet,
  createClasses,
  dropClasses,
  failCount,
  type RowClasses,
  splitRows,
  startClasses,
  stepInto,
} from './row-classes.js';
import { columnsOf, copyColumns, sizeOfTree, type TreeEnsemble } from './tree-ensemble.js';

// n rows, R of them a block, m background rows; D, K as in tree-ensemble.ts, slots and W as in row-classes.ts.

/** Buffers of one depth: the explained rows and the background at the node there. */
interface Level {
  own: RowClasses;
  background: RowClasses;
}

interface Walk {
  trees: TreeEnsemble;
  /** (D, R) and (D, m) */
  columns: Float64Array;
  backgroundColumns: Float64Array;
  /** (m) */
  backgroundWeights: Float64Array;
  levels: Level[];
  /** The features of the way: how many, the feature of each slot, and (D) the slot of each feature or -1. */
  slotCount: number;
  slotFeatures: Int32Array;
  slots: Int32Array;
  /** (S + 1, S + 1): shares[a * (S + 1) + b], see `setShares`. */
  shares: Float64Array;
  /** (m): the weight of each class of the background at a leaf, and how many slots it fails. */
  classWeights: Float64Array;
  classFails: Int32Array;
  /** (S) */
  contributions: Float64Array;
  /** (D, K, R) */
  values: Float64Array;
}

const blockRows = 1024;

export interface ExplainOptions {
  /** (m), by default 1 / m each. */
  backgroundWeights?: Float64Array;
  /** Is told how many more rows are done. */
  onRows?: (count: number) => void;
}

export type ExplainRows = (rows: Float64Array, options?: ExplainOptions) => Float64Array<ArrayBuffer>;

/**
 * Shapley values of sums of trees, interventional: v(S) is the weighted mean over the background of the model's value for the
 * row with the features outside S replaced by the background's (Lundberg et al., arXiv:1905.04610, section "Interventional").
 *
 * For one row x and one background row b, a leaf is reached by the coalitions that hold all of A, the features whose splits on
 * the way only x passes, and none of B, those that only b passes; never where both fail one. Such a game gives each of A
 * (|A| - 1)! |B|! / (|A| + |B|)! of the leaf's weight and takes |A|! (|B| - 1)! / (|A| + |B|)! for each of B. A, B and whether
 * both fail one depend only on the classes of x and b: the walk carries classes down and drops those that no class of the other
 * side can meet.
 *
 * @param background (m, D)
 * @returns explains rows (n, D): (n, D, K)
 */
export function createInterventionalTreeShap(trees: TreeEnsemble, background: Float64Array): ExplainRows {
  const { D, K, roots } = trees;
  const m = background.length / D;
  const sizes = Array.from(roots, (root) => sizeOfTree(trees, root));
  const depth = sizes.reduce((most, size) => Math.max(most, size.depth), 0);
  const S = sizes.reduce((most, size) => Math.max(most, size.features), 0);
  const W = Math.max(1, Math.ceil(S / 32));
  const levelsFor = (R: number): Level[] =>
    Array.from({ length: depth + 1 }, () => ({ own: createClasses(R, W), background: createClasses(m, W) }));
  let levels: Level[] = [];
  const fixed = {
    trees,
    backgroundColumns: columnsOf(background, D, m),
    slotCount: 0,
    slotFeatures: new Int32Array(S),
    slots: new Int32Array(D).fill(-1),
    shares: sharesUpTo(S),
    classWeights: new Float64Array(m),
    classFails: new Int32Array(m),
    contributions: new Float64Array(S),
  };
  return (rows, { backgroundWeights = new Float64Array(m).fill(1 / m), onRows } = {}) => {
    const n = rows.length / D;
    const R = Math.min(n, blockRows);
    if (levels[0]?.own.order.length !== R) levels = levelsFor(R);
    const values = new Float64Array(n * D * K);
    for (let first = 0; first < n; first += R) {
      const count = Math.min(R, n - first);
      const columns = columnsOf(rows.subarray(first * D, (first + count) * D), D, R);
      const walk: Walk = { ...fixed, backgroundWeights, levels, columns, values: new Float64Array(D * K * R) };
      for (const root of roots) {
        startClasses(levels[0]!.own, count);
        startClasses(levels[0]!.background, m);
        visit(walk, root, 0);
      }
      copyColumns(walk.values, R, values.subarray(first * D * K, (first + count) * D * K));
      onRows?.(count);
    }
    return values;
  };
}

/** (a - 1)! b! / (a + b)! for a and b up to S; 0 where a is 0. */
function sharesUpTo(S: number): Float64Array {
  const shares = new Float64Array((S + 1) ** 2);
  for (let b = 0; b <= S; b++) {
    let share = 1 / (b + 1);
    for (let a = 1; a <= S; a++) {
      shares[a * (S + 1) + b] = share;
      share *= a / (a + b + 1);
    }
  }
  return shares;
}

function visit(walk: Walk, node: number, depth: number): void {
  const { trees, levels, slots } = walk;
  const feature = trees.features[node]!;
  if (feature < 0) {
    addLeaf(walk, node, levels[depth]!);
    return;
  }
  const isNew = slots[feature]! < 0;
  if (isNew) {
    slots[feature] = walk.slotCount;
    walk.slotFeatures[walk.slotCount++] = feature;
  }
  const slot = slots[feature]!;
  const { own, background } = levels[depth]!;
  splitRows(trees, node, walk.columns, own, slot);
  splitRows(trees, node, walk.backgroundColumns, background, slot);
  for (const child of [trees.trueChildren[node]!, trees.falseChildren[node]!]) {
    const next = levels[depth + 1]!;
    stepInto(own, next.own, child === trees.trueChildren[node], slot);
    stepInto(background, next.background, child === trees.trueChildren[node], slot);
    dropClasses(next.own, next.background, slot);
    dropClasses(next.background, next.own, slot);
    if (next.own.count > 0) visit(walk, child, depth + 1);
  }
  if (isNew) {
    slots[feature] = -1;
    walk.slotCount--;
  }
}

function addLeaf(walk: Walk, leaf: number, { own, background }: Level): void {
  const { trees, shares, classWeights, classFails, contributions, slotCount } = walk;
  if (trees.leafStarts[leaf] === trees.leafStarts[leaf + 1]) return;
  const S1 = contributions.length + 1;
  const { fails } = background;
  const W = fails.length / background.cuts.length;
  for (let b = 0; b < background.count; b++) {
    classWeights[b] = weightOf(background, b, walk.backgroundWeights);
    classFails[b] = failCount(background, b);
  }
  for (let c = 0; c < own.count; c++) {
    const ownFails = failCount(own, c);
    const firstFails = own.fails[c * W]!;
    contributions.fill(0, 0, slotCount);
    let lost = 0;
    for (let b = 0; b < background.count; b++) {
      if ((firstFails & fails[b * W]!) !== 0 || (W > 1 && !canMeet(own, c, background, b))) continue;
      const weight = classWeights[b]!;
      const backgroundFails = classFails[b]!;
      lost -= weight * shares[ownFails * S1 + backgroundFails]!;
      addToFailed(background, b, weight * shares[backgroundFails * S1 + ownFails]!, contributions);
    }
    addToFailed(own, c, lost, contributions);
    addToRows(walk, leaf, own, c);
  }
}

/** Adds a number for each slot that a class fails. */
function addToFailed({ fails, cuts }: RowClasses, c: number, addend: number, contributions: Float64Array): void {
  const W = fails.length / cuts.length;
  for (let w = 0; w < W; w++) {
    for (let rest = fails[c * W + w]!; rest !== 0; rest &= rest - 1) {
      contributions[w * 32 + 31 - Math.clz32(rest & -rest)]! += addend;
    }
  }
}

function weightOf({ order, firsts, starts, ends }: RowClasses, c: number, weights: Float64Array): number {
  let weight = 0;
  for (let s = firsts[c]!; s < firsts[c + 1]!; s++) {
    for (let i = starts[s]!; i < ends[s]!; i++) weight += weights[order[i]!]!;
  }
  return weight;
}

/** Adds the contribution of each slot, times the weights of the leaf, to the rows of class c. */
function addToRows(walk: Walk, leaf: number, { order, firsts, starts, ends }: RowClasses, c: number): void {
  const { trees, slotCount, slotFeatures, contributions, values } = walk;
  const { K, leafStarts, leafSums, leafWeights } = trees;
  const R = order.length;
  for (let e = leafStarts[leaf]!; e < leafStarts[leaf + 1]!; e++) {
    for (let slot = 0; slot < slotCount; slot++) {
      const contribution = leafWeights[e]! * contributions[slot]!;
      if (contribution === 0) continue;
      const column = (slotFeatures[slot]! * K + leafSums[e]!) * R;
      for (let s = firsts[c]!; s < firsts[c + 1]!; s++) {
        for (let i = starts[s]!; i < ends[s]!; i++) values[column + order[i]!]! += contribution;
      }
    }
  }
}
