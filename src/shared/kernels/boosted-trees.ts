import { classWeights, sigmoid } from './logistic-regression.js';
import { rowCount } from './shape.js';

// n rows of D features, T trees. Fitting sorts the values of each feature into at most B bins.

/** Trees of two levels: a root split, one split on either side of it, four leaves from left to right. */
export interface BoostedTrees {
  /** (T, 3): feature of the root, of the split to its left and of the one to its right. */
  features: Int32Array<ArrayBuffer>;
  /** (T, 3): up to here, itself included, a value goes left. */
  thresholds: Float64Array<ArrayBuffer>;
  /** (T, 4): log odds that are added. */
  leaves: Float64Array<ArrayBuffer>;
}

/**
 * The log odds of a defect: the sum of one leaf of each tree.
 *
 * @param rows (n, D) @returns (n)
 */
export function treeLogOdds(trees: BoostedTrees, rows: Float32Array | Float64Array, D: number) {
  const { features, thresholds, leaves } = trees;
  const odds = new Float64Array(rowCount('rows', rows, D));
  for (let i = 0; i < odds.length; i++) {
    const row = i * D;
    let sum = 0;
    for (let root = 0, first = 0; first < leaves.length; root += 3, first += 4) {
      const side = rows[row + features[root]!]! > thresholds[root]! ? 1 : 0;
      const split = root + 1 + side;
      sum += leaves[first + 2 * side + (rows[row + features[split]!]! > thresholds[split]! ? 1 : 0)]!;
    }
    odds[i] = sum;
  }
  return odds;
}

export const boosting = {
  trees: 50,
  shrinkage: 0.1,
  /** Added to the curvature of a leaf: few rows alone do not move it far. */
  ridge: 1,
  fewestRowsOfLeaf: 5,
  bins: 16,
} as const;

/**
 * Gradient boosting of the logistic loss, in which each class counts one half (Friedman, Annals of Statistics 29, 2001): each
 * tree is the one that lowers the second order of the loss most, -G / (H + ridge) in its leaves with G and H the sums of first
 * and second derivatives (Chen and Guestrin, arXiv:1603.02754, equations 5 and 6). All pairs of a root and its two splits are
 * tried, so that features that say something only together are found although none of them says anything alone.
 *
 * Deterministic. Constant features give no trees.
 *
 * @param rows (n, D) @param labels (n), 0 for good, anything else for defect
 * @throws SHAPE_MISMATCH
 * @throws TOO_FEW_IMAGES where one of the classes has no row
 */
export function fitBoostedTrees(rows: Float32Array | Float64Array, labels: ArrayLike<number>): BoostedTrees {
  const n = labels.length;
  const D = rowCount('rows', rows, n);
  const weights = classWeights(labels).map((weight) => weight * n);
  const binned = binRows(rows, weights, D);
  const odds = new Float64Array(n);
  const joint = new Float64Array((D * B) ** 2 * sums);
  const [features, thresholds, leaves]: number[][] = [[], [], []];
  for (let t = 0; t < boosting.trees; t++) {
    sumDerivatives(binned, odds, labels, weights, joint);
    const tree = bestTree(joint, D);
    if (!tree) break;
    features!.push(...tree.splits.map(({ feature }) => feature));
    thresholds!.push(...tree.splits.map(({ feature, bin }) => binned.cuts[feature]![bin]!));
    leaves!.push(...tree.leaves);
    addTree(tree, binned, odds);
  }
  return {
    features: Int32Array.from(features!),
    thresholds: Float64Array.from(thresholds!),
    leaves: Float64Array.from(leaves!),
  };
}

interface BinnedRows {
  D: number;
  /** (n, D): how many cuts of its feature lie below a value. */
  bins: Uint8Array;
  /** Of each feature, ascending: at most B - 1 places between values. */
  cuts: number[][];
}

/** Bins of about equal weight, so that the rarer class has as many of them as the other. */
function binRows(rows: Float32Array | Float64Array, weights: Float64Array, D: number): BinnedRows {
  const n = weights.length;
  const bins = new Uint8Array(n * D);
  const cuts = Array.from({ length: D }, (_, j) => {
    const order = Array.from(weights.keys()).sort((a, b) => rows[a * D + j]! - rows[b * D + j]!);
    const found: number[] = [];
    let weight = 0;
    let nextCut = n / boosting.bins;
    for (const [place, i] of order.entries()) {
      const value = rows[i * D + j]!;
      const before = place === 0 ? value : rows[order[place - 1]! * D + j]!;
      if (value > before && weight >= nextCut && found.length < boosting.bins - 1) {
        const middle = before + (value - before) / 2;
        found.push(middle < value ? middle : before); // neighbours in floating point have no middle
        nextCut = (Math.floor((weight * boosting.bins) / n) + 1) * (n / boosting.bins);
      }
      bins[i * D + j] = found.length;
      weight += weights[i]!;
    }
    return found;
  });
  return { D, bins, cuts };
}

/** What splits are chosen by: sums over rows of the first and second derivative of the loss, and how many rows. */
const G = 0;
const H = 1;
const N = 2;
const sums = 3;
const { bins: B, ridge, shrinkage, fewestRowsOfLeaf } = boosting;

/** @param joint (D, B, D, B, 3): gets the sums of the rows in one bin of one feature and one bin of another */
function sumDerivatives(
  { D, bins }: BinnedRows,
  odds: Float64Array,
  labels: ArrayLike<number>,
  weights: Float64Array,
  joint: Float64Array,
): void {
  joint.fill(0);
  for (let i = 0; i < odds.length; i++) {
    const probability = sigmoid(odds[i]!);
    const gradient = weights[i]! * (probability - (labels[i] === 0 ? 0 : 1));
    const curvature = weights[i]! * probability * (1 - probability);
    for (let j = 0; j < D; j++) {
      const of = (j * B + bins[i * D + j]!) * D * B;
      for (let k = 0; k < D; k++) {
        const at = (of + k * B + bins[i * D + k]!) * sums;
        joint[at + G]! += gradient;
        joint[at + H]! += curvature;
        joint[at + N]!++;
      }
    }
  }
}

/** The best way to split the rows on one side of a root, or not to: then both leaves are the same. */
interface Side {
  /** How much the side lowers the loss. */
  gain: number;
  /** Bins up to this one go left; undefined where no split is better than none. */
  split?: { feature: number; bin: number };
  leaves: [number, number];
}

interface Tree {
  /** Root, left, right. */
  splits: { feature: number; bin: number }[];
  leaves: number[];
}

/** Undefined where no root leaves enough rows on both of its sides. */
function bestTree(joint: Float64Array, D: number): Tree | undefined {
  const size = D * B * sums;
  const all = new Float64Array(size); // of each feature and bin, over all rows: summed over the bins of feature 0
  for (let bin = 0; bin < B; bin++) for (let i = 0; i < size; i++) all[i]! += joint[bin * size + i]!;
  const [left, right] = [new Float64Array(size), new Float64Array(size)];
  let best = { gain: Number.NEGATIVE_INFINITY } as { gain: number; tree?: Tree };
  for (let feature = 0; feature < D; feature++) {
    left.fill(0);
    for (let bin = 0; bin < B - 1; bin++) {
      const from = (feature * B + bin) * size;
      for (let i = 0; i < size; i++) {
        left[i]! += joint[from + i]!;
        right[i] = all[i]! - left[i]!;
      }
      const [ofLeft, ofRight] = [bestSide(left, D), bestSide(right, D)];
      if (!ofLeft || !ofRight || ofLeft.gain + ofRight.gain <= best.gain) continue;
      const root = { feature, bin };
      const splits = [root, ofLeft.split ?? root, ofRight.split ?? root];
      best = { gain: ofLeft.gain + ofRight.gain, tree: { splits, leaves: [...ofLeft.leaves, ...ofRight.leaves] } };
    }
  }
  return best.tree;
}

/** @param side (D, B, 3) @returns undefined where there are too few rows */
function bestSide(side: Float64Array, D: number): Side | undefined {
  let [g, h, rows] = [0, 0, 0];
  for (let bin = 0; bin < B; bin++) {
    g += side[bin * sums + G]!;
    h += side[bin * sums + H]!;
    rows += side[bin * sums + N]!;
  }
  if (rows < fewestRowsOfLeaf) return undefined;
  let best: Side = { gain: gainOf(g, h), leaves: [leafOf(g, h), leafOf(g, h)] };
  for (let feature = 0; feature < D; feature++) {
    let [gLeft, hLeft, rowsLeft] = [0, 0, 0];
    for (let bin = 0; bin < B - 1; bin++) {
      const at = (feature * B + bin) * sums;
      gLeft += side[at + G]!;
      hLeft += side[at + H]!;
      rowsLeft += side[at + N]!;
      if (rowsLeft < fewestRowsOfLeaf || rows - rowsLeft < fewestRowsOfLeaf) continue;
      const gain = gainOf(gLeft, hLeft) + gainOf(g - gLeft, h - hLeft);
      if (gain <= best.gain + rounding) continue;
      best = { gain, split: { feature, bin }, leaves: [leafOf(gLeft, hLeft), leafOf(g - gLeft, h - hLeft)] };
    }
  }
  return best;
}

/** Sums taken as differences must not make splits out of nothing. */
const rounding = 1e-9;
const gainOf = (g: number, h: number): number => (g * g) / (h + ridge);
const leafOf = (g: number, h: number): number => (-shrinkage * g) / (h + ridge);

function addTree({ splits, leaves }: Tree, { D, bins }: BinnedRows, odds: Float64Array): void {
  const sideOf = (row: number, { feature, bin }: { feature: number; bin: number }) =>
    bins[row * D + feature]! > bin ? 1 : 0;
  for (let i = 0; i < odds.length; i++) {
    const side = sideOf(i, splits[0]!);
    odds[i]! += leaves[2 * side + sideOf(i, splits[1 + side]!)]!;
  }
}
