import { gaussLegendre, type Quadrature } from '../gradient/quadrature.js';
import { type PathDependentForm, pointsFor, type RowBlock } from './path-dependent-form.js';
import type { TreeEnsemble } from './tree-ensemble.js';

// R rows of a block, Q quadrature points; D, K, N as in tree-ensemble.ts. The different features on the way to a node are its
// slots 0, 1, 2, …; a set of them is a number with bit s for slot s.

/** On a way. */
export const mostFeatures = 8;
const setCount = 2 ** mostFeatures;

interface Walk extends RowBlock {
  trees: TreeEnsemble;
  /** (N): how much of its parent's training weight a node has. */
  shares: Float64Array;
  /** (depth) of (R): the set of slots whose splits each row has failed. */
  fails: Uint8Array[];
  /** The features of the way: the feature of each slot, (D) the slot of each feature or -1, and what passes its splits. */
  slotFeatures: number[];
  slots: Int32Array;
  passing: Float64Array;
  /** By number of slots. */
  quadratures: Quadrature[];
  /** (2^S): the sets that rows have failed at a leaf, the first `foundCount` of `found`; `isFound` by set. */
  found: Uint8Array;
  isFound: Uint8Array;
  /** (S, 2^S): what a leaf of weight 1 gives to the feature of a slot where a set has failed. */
  table: Float64Array;
}

/**
 * Adds path-dependent values of trees with few features on each way: what a leaf gives to a row depends on the set of features
 * whose splits the row fails, so it is worked out once for each set (as Yang, arXiv:2109.09847, does for all sets beforehand).
 */
export const failedSets: PathDependentForm = {
  blockRows: 1024,
  create({ trees, shares, sizes, R }) {
    const depth = sizes.reduce((most, size) => Math.max(most, size.depth), 0);
    const fixed = {
      trees,
      shares,
      fails: Array.from({ length: depth + 1 }, () => new Uint8Array(R)),
      slotFeatures: [],
      slots: new Int32Array(trees.D).fill(-1),
      passing: new Float64Array(mostFeatures),
      quadratures: Array.from({ length: mostFeatures + 1 }, (_, features) => gaussLegendre(pointsFor(features))),
      found: new Uint8Array(setCount),
      isFound: new Uint8Array(setCount),
      table: new Float64Array(mostFeatures * setCount),
    };
    return (tree, block) => {
      fixed.fails[0]!.fill(0);
      visit({ ...fixed, ...block }, trees.roots[tree]!, 0);
    };
  },
};

function visit(walk: Walk, node: number, depth: number): void {
  const { trees, shares, slots, slotFeatures, passing } = walk;
  const feature = trees.features[node]!;
  if (feature < 0) {
    addLeaf(walk, node, walk.fails[depth]!);
    return;
  }
  const isNew = slots[feature]! < 0;
  if (isNew) {
    slots[feature] = slotFeatures.length;
    passing[slotFeatures.length] = 1;
    slotFeatures.push(feature);
  }
  const slot = slots[feature]!;
  const before = passing[slot]!;
  for (const child of [trees.trueChildren[node]!, trees.falseChildren[node]!]) {
    passing[slot] = before * shares[child]!;
    step(walk, node, depth, child === trees.trueChildren[node] ? 1 << slot : 0, 1 << slot);
    visit(walk, child, depth + 1);
  }
  passing[slot] = before;
  if (isNew) {
    slots[feature] = -1;
    slotFeatures.pop();
  }
}

/** What rows have failed at a child: they fail its split by the other comparison than theirs. */
function step(
  { trees, columns, count, fails }: Walk,
  node: number,
  depth: number,
  falseBit: number,
  bit: number,
): void {
  const [own, next] = [fails[depth]!, fails[depth + 1]!];
  const column = trees.features[node]! * own.length;
  const lower = trees.lower[node]!;
  const upper = trees.upper[node]!;
  const missingIsTrue = trees.missingIsTrue[node] === 1;
  const trueBit = bit - falseBit;
  for (let row = 0; row < count; row++) {
    const value = columns[column + row]!;
    // biome-ignore lint/suspicious/noSelfCompare: only NaN differs from itself
    const isTrue = (value >= lower && value <= upper) || (missingIsTrue && value !== value);
    next[row] = own[row]! | (isTrue ? trueBit : falseBit);
  }
}

function addLeaf(walk: Walk, leaf: number, fails: Uint8Array): void {
  const { trees, count, values, slotFeatures, table } = walk;
  const { K, leafStarts, leafSums, leafWeights } = trees;
  if (leafStarts[leaf] === leafStarts[leaf + 1]) return;
  fillTable(walk, fails);
  const R = fails.length;
  for (let e = leafStarts[leaf]!; e < leafStarts[leaf + 1]!; e++) {
    const weight = leafWeights[e]!;
    for (let slot = 0; slot < slotFeatures.length; slot++) {
      const to = (slotFeatures[slot]! * K + leafSums[e]!) * R;
      const from = slot * setCount;
      for (let row = 0; row < count; row++) values[to + row]! += weight * table[from + fails[row]!]!;
    }
  }
}

/** The columns of the table for the sets that rows have failed. */
function fillTable(
  { count, slotFeatures, passing, quadratures, found, isFound, table }: Walk,
  fails: Uint8Array,
): void {
  const S = slotFeatures.length;
  const { points, weights } = quadratures[S]!;
  let foundCount = 0;
  for (let row = 0; row < count; row++) {
    const set = fails[row]!;
    if (isFound[set]) continue;
    isFound[set] = 1;
    found[foundCount++] = set;
  }
  for (let i = 0; i < foundCount; i++) {
    const set = found[i]!;
    isFound[set] = 0;
    for (let slot = 0; slot < S; slot++) table[slot * setCount + set] = 0;
    for (let q = 0; q < points.length; q++) {
      const t = points[q]!;
      let product = weights[q]!;
      for (let slot = 0; slot < S; slot++) {
        const share = passing[slot]!;
        product *= (set >>> slot) & 1 ? share * (1 - t) : share + t * (1 - share);
      }
      for (let slot = 0; slot < S; slot++) {
        const share = passing[slot]!;
        const slope = (set >>> slot) & 1 ? -1 / (1 - t) : (1 - share) / (share + t * (1 - share));
        table[slot * setCount + set]! += product * slope;
      }
    }
  }
}
