import { gaussLegendre } from '../gradient/quadrature.js';
import { sharesOfCover } from './node-cover.js';
import { columnsOf, copyColumns, sizeOfTree, sumsOfTree, type TreeEnsemble } from './tree-ensemble.js';

// n rows, R of them a block, Q quadrature points, k of the K sums in one tree; D, K, N as in tree-ensemble.ts.

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

interface Walk {
  trees: TreeEnsemble;
  /** (N): how much of its parent's training weight a node has. */
  shares: Float64Array;
  /** Rows of this block. */
  count: number;
  /** (D, R) */
  columns: Float64Array;
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
  /** (D, K, R) */
  values: Float64Array;
}

const blockRows = 256; // the levels of a block stay in the cache

/**
 * Shapley values of sums of trees, path-dependent: where a feature is not known a row goes both ways, weighted by the training
 * weight that went there (Lundberg et al., arXiv:1802.03888, which walks quadratically in the depth; this walk is linear, as
 * Yu et al., arXiv:2209.08192, with quadrature points in place of their polynomials).
 *
 * A leaf is a product game: v(S) = weight · Π_j (j in S ? [the row passes j] : r_j), r_j the share of the training weight that
 * passes the splits of feature j. Its multilinear extension (Owen 1972) has the terms f_j(t) = r_j + t ([passes] - r_j), so
 * φ_j = weight · ∫₀¹ f_j' / f_j · Π f dt. The integrand is a polynomial: few points of Gauss and Legendre are exact. Products
 * are built up on the way down and summed over the leaves on the way up, where each edge adds what it changed in f_j' / f_j.
 *
 * @param rows (n, D) @param covers (N), training weight of each node @param onRows is told how many more rows are done
 * @returns (n, D, K)
 */
export function pathDependentTreeShap(
  trees: TreeEnsemble,
  covers: ArrayLike<number>,
  rows: Float64Array,
  onRows: (count: number) => void = () => {},
): Float64Array<ArrayBuffer> {
  const { D, K } = trees;
  const n = rows.length / D;
  const R = Math.min(n, blockRows);
  const values = new Float64Array(n * D * K);
  const sizes = Array.from(trees.roots, (root) => sizeOfTree(trees, root));
  const depth = sizes.reduce((most, size) => Math.max(most, size.depth), 0);
  const maxQ = sizes.reduce((most, size) => Math.max(most, pointsFor(size.features)), 1);
  const quadratures = Array.from({ length: maxQ + 1 }, (_, Q) => gaussLegendre(Q));
  const walk = {
    trees,
    shares: sharesOfCover(trees, covers),
    failed: new Uint8Array(D * R),
    passing: new Float64Array(D).fill(1),
    levels: Array.from({ length: depth + 1 }, () => createLevel(R, K, maxQ)),
    factors: new Float64Array(3 * maxQ),
    slopes: new Float64Array(3 * maxQ),
    leafFactors: new Float64Array(3 * K * maxQ),
    leafSlopes: new Float64Array(3 * K * maxQ),
    sumPlaces: new Int32Array(K),
  };
  const sumsOfTrees = Array.from(trees.roots, (root) => sumsOfTree(trees, root));
  for (let first = 0; first < n; first += R) {
    const count = Math.min(R, n - first);
    const columns = columnsOf(rows.subarray(first * D, (first + count) * D), D, R);
    const block = new Float64Array(D * K * R);
    for (const [tree, root] of trees.roots.entries()) {
      if (trees.features[root]! < 0) continue;
      walk.levels[0]!.products.fill(1);
      const quadrature = quadratures[pointsFor(sizes[tree]!.features)]!;
      const sums = sumsOfTrees[tree]!;
      for (let k = 0; k < sums.length; k++) walk.sumPlaces[sums[k]!] = k;
      visit({ ...walk, ...quadrature, sums, count, columns, values: block }, root, 0);
    }
    copyColumns(block, R, values.subarray(first * D * K, (first + count) * D * K));
    onRows(count);
  }
  return values;
}

/** Q points integrate polynomials of degree 2 Q - 1; that of a leaf has the degree of its features less one. */
const pointsFor = (features: number): number => Math.max(1, Math.ceil(features / 2));

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
