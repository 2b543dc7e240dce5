import { gaussLegendre } from '../gradient/quadrature.js';
import { type PathDependentForm, pointsFor, type RowBlock } from './path-dependent-form.js';
import { sumsOfTree, type TreeEnsemble } from './tree-ensemble.js';

// R rows of a block, Q quadrature points, k of the K sums in one tree; D, K, N as in tree-ensemble.ts.

/** Buffers of one depth. */
interface Level {
  /** (R): one of `ways` for each row. */
  ways: Uint8Array;
  /** (R, Q): the product of the terms of all features at the node. */
  products: Float64Array;
  /** (R, k, Q): the sum, over the leaves below, of weight times product. */
  below: Float64Array;
}

/** Into the child that the row goes to, into the other, or into either where it failed a split of the feature before. */
const ways = { pass: 0, fail: 1, gone: 2 } as const;

interface Walk extends RowBlock {
  trees: TreeEnsemble;
  /** (N): how much of its parent's training weight a node has. */
  shares: Float64Array;
  /** (D, R): 1 where the row has failed a split of the feature on the way. */
  failed: Uint8Array;
  /** (D): how much of the training weight passes the splits of the feature on the way. */
  passing: Float64Array;
  /** (Q) */
  points: Float64Array;
  weights: Float64Array;
  levels: Level[];
  /** (3, Q) for each way: what a step into a child multiplies products by. */
  factors: Float64Array;
  /** (3, Q): weight of a point times what the step changes in the logarithmic derivative of the product. */
  slopes: Float64Array;
  /** (3, k, Q): the same of the leaves among a node's children, times their weights. */
  leafFactors: Float64Array;
  leafSlopes: Float64Array;
  /** (k): the sums that leaves of the tree add to. A boosted tree of many classes has one. */
  sums: Int32Array;
  /** (K): the place of each of these in `sums`. */
  sumPlaces: Int32Array;
}

/**
 * Adds path-dependent values of trees of any depth, in time linear in the depth (as Yu et al., arXiv:2209.08192, with quadrature
 * points in place of their polynomials): products are built up on the way down and summed over the leaves on the way up, where
 * each edge adds what it changed in f_j' / f_j.
 */
export const quadratureWalk: PathDependentForm = {
  blockRows: 256, // the levels of a block stay in the cache
  create({ trees, shares, sizes, R }) {
    const { D, K } = trees;
    const depth = sizes.reduce((most, size) => Math.max(most, size.depth), 0);
    const maxQ = sizes.reduce((most, size) => Math.max(most, pointsFor(size.features)), 1);
    const quadratures = Array.from({ length: maxQ + 1 }, (_, Q) => gaussLegendre(Q));
    const sumsOfTrees = Array.from(trees.roots, (root) => sumsOfTree(trees, root));
    const fixed = {
      trees,
      shares,
      failed: new Uint8Array(D * R),
      passing: new Float64Array(D).fill(1),
      levels: Array.from({ length: depth + 1 }, () => createLevel(R, K, maxQ)),
      factors: new Float64Array(3 * maxQ),
      slopes: new Float64Array(3 * maxQ),
      leafFactors: new Float64Array(3 * K * maxQ),
      leafSlopes: new Float64Array(3 * K * maxQ),
      sumPlaces: new Int32Array(K),
    };
    return (tree, block) => {
      const sums = sumsOfTrees[tree]!;
      for (let k = 0; k < sums.length; k++) fixed.sumPlaces[sums[k]!] = k;
      fixed.levels[0]!.products.fill(1);
      visit({ ...fixed, ...quadratures[pointsFor(sizes[tree]!.features)]!, ...block, sums }, trees.roots[tree]!, 0);
    };
  },
};

const createLevel = (R: number, K: number, Q: number): Level => ({
  ways: new Uint8Array(R),
  products: new Float64Array(R * Q),
  below: new Float64Array(R * K * Q),
});

/** From the products at an inner node: what is below it, and the values of what its edges change. */
function visit(walk: Walk, node: number, depth: number): void {
  const { trees, passing, shares, levels } = walk;
  const feature = trees.features[node]!;
  const before = passing[feature]!;
  const level = levels[depth]!;
  takeSplit(walk, node, level);
  addLeaves(walk, node, level);
  for (const child of [trees.trueChildren[node]!, trees.falseChildren[node]!]) {
    if (trees.features[child]! < 0) continue;
    const isFalse = child === trees.falseChildren[node] ? 1 : 0;
    setStep(walk, before, shares[child]!);
    passing[feature] = before * shares[child]!;
    descend(walk, feature, isFalse, level, levels[depth + 1]!);
    visit(walk, child, depth + 1);
    setStep(walk, before, shares[child]!);
    ascend(walk, feature, isFalse, level, levels[depth + 1]!);
    passing[feature] = before;
  }
}

/** The way that each row takes into the true child. Into the false child it takes the way that `wayInto` gives. */
function takeSplit({ trees, columns, failed, count }: Walk, node: number, { ways: taken }: Level): void {
  const R = taken.length;
  const column = trees.features[node]! * R;
  const lower = trees.lower[node]!;
  const upper = trees.upper[node]!;
  const missingIsTrue = trees.missingIsTrue[node] === 1;
  for (let row = 0; row < count; row++) {
    const value = columns[column + row]!;
    // biome-ignore lint/suspicious/noSelfCompare: only NaN differs from itself
    const isTrue = (value >= lower && value <= upper) || (missingIsTrue && value !== value);
    taken[row] = failed[column + row] === 1 ? ways.gone : isTrue ? ways.pass : ways.fail;
  }
}

const wayInto = (isFalse: number, way: number): number => (way === ways.gone ? way : way ^ isFalse);

/** What a step changes by which `share` of the training weight goes on, the feature having let `before` through so far. */
function setStep({ points, weights, factors, slopes }: Walk, before: number, share: number): void {
  const Q = points.length;
  const after = before * share;
  for (let q = 0; q < Q; q++) {
    const t = points[q]!;
    const termBefore = before + t * (1 - before);
    const term = after + t * (1 - after);
    const slopeBefore = (1 - before) / termBefore;
    factors[q] = term / termBefore;
    factors[Q + q] = (after * (1 - t)) / termBefore;
    factors[2 * Q + q] = share;
    slopes[q] = weights[q]! * ((1 - after) / term - slopeBefore);
    slopes[Q + q] = weights[q]! * (-1 / (1 - t) - slopeBefore);
    slopes[2 * Q + q] = 0;
  }
}

function descend(
  { failed, count, points, factors }: Walk,
  feature: number,
  isFalse: number,
  level: Level,
  next: Level,
): void {
  const { ways: taken, products } = level;
  const { products: nextProducts } = next;
  const Q = points.length;
  const column = feature * taken.length;
  for (let row = 0; row < count; row++) {
    const way = wayInto(isFalse, taken[row]!);
    if (way === ways.fail) failed[column + row] = 1;
    for (let q = 0; q < Q; q++) nextProducts[row * Q + q] = products[row * Q + q]! * factors[way * Q + q]!;
  }
}

function ascend(walk: Walk, feature: number, isFalse: number, level: Level, next: Level): void {
  const { failed, count, points, values, slopes, sums } = walk;
  const K = sums.length;
  const first = feature * walk.trees.K;
  const { ways: taken, below } = level;
  const { below: nextBelow } = next;
  const Q = points.length;
  const R = taken.length;
  for (let row = 0; row < count; row++) {
    const way = wayInto(isFalse, taken[row]!);
    if (way === ways.fail) failed[feature * R + row] = 0;
    for (let k = 0; k < K; k++) {
      const at = (row * K + k) * Q;
      let value = 0;
      for (let q = 0; q < Q; q++) {
        const sum = nextBelow[at + q]!;
        below[at + q]! += sum;
        value += sum * slopes[way * Q + q]!;
      }
      values[(first + sums[k]!) * R + row]! += value;
    }
  }
}

/** What the leaves among the children of a node put below it, both in one go: `descend` and `ascend` in one. */
function addLeaves(walk: Walk, node: number, { ways: taken, products, below }: Level): void {
  const { trees, count, points, values, leafFactors, leafSlopes, sums } = walk;
  const K = sums.length;
  const first = trees.features[node]! * trees.K;
  const Q = points.length;
  const R = taken.length;
  if (!setLeaves(walk, node)) {
    below.fill(0, 0, count * K * Q);
    return;
  }
  for (let row = 0; row < count; row++) {
    for (let k = 0; k < K; k++) {
      const from = (taken[row]! * K + k) * Q;
      const at = (row * K + k) * Q;
      let value = 0;
      for (let q = 0; q < Q; q++) {
        const product = products[row * Q + q]!;
        below[at + q] = product * leafFactors[from + q]!;
        value += product * leafSlopes[from + q]!;
      }
      values[(first + sums[k]!) * R + row]! += value;
    }
  }
}

/** For each way that a row takes into the true child: what the leaves make of its product. False where there is none. */
function setLeaves(walk: Walk, node: number): boolean {
  const { trees, shares, passing, points, factors, slopes, leafFactors, leafSlopes, sumPlaces } = walk;
  const { leafStarts, leafSums, leafWeights } = trees;
  const K = walk.sums.length;
  const Q = points.length;
  leafFactors.fill(0, 0, 3 * K * Q);
  leafSlopes.fill(0, 0, 3 * K * Q);
  let isAny = false;
  for (const child of [trees.trueChildren[node]!, trees.falseChildren[node]!]) {
    if (trees.features[child]! >= 0) continue;
    const isFalse = child === trees.falseChildren[node] ? 1 : 0;
    setStep(walk, passing[trees.features[node]!]!, shares[child]!);
    for (let e = leafStarts[child]!; e < leafStarts[child + 1]!; e++) {
      isAny = true;
      for (let taken = 0; taken < 3; taken++) {
        const from = wayInto(isFalse, taken) * Q;
        const to = (taken * K + sumPlaces[leafSums[e]!]!) * Q;
        for (let q = 0; q < Q; q++) {
          const factor = leafWeights[e]! * factors[from + q]!;
          leafFactors[to + q]! += factor;
          leafSlopes[to + q]! += factor * slopes[from + q]!;
        }
      }
    }
  }
  return isAny;
}
