import { type CartNode, DecisionTreeClassifier, DecisionTreeRegression } from 'ml-cart';
import { Matrix } from 'ml-matrix';

// m training rows, D columns, N nodes, K values of a leaf: the mean target, or the share of each class.

/** A binary tree in flat arrays: a node stands before its children, its left child right behind it. */
export interface DecisionTree {
  /** (N), -1 for a leaf. */
  features: Int32Array<ArrayBuffer>;
  /** (N): a row goes to the left where its value is at most this. */
  thresholds: Float32Array<ArrayBuffer>;
  /** (N), 0 for a leaf. */
  rightChildren: Int32Array<ArrayBuffer>;
  /** (N): training rows that reached the node. */
  covers: Float64Array<ArrayBuffer>;
  /** (N, K), 0 where the node is no leaf. */
  values: Float64Array<ArrayBuffer>;
}

export interface TreeRows {
  /** (m, D), float32 values without missing ones. */
  rows: Float64Array<ArrayBuffer>;
  /** (m): values, or classes from 0 to `classes` - 1. */
  targets: Float64Array<ArrayBuffer>;
  classes?: number;
}

/** So many rows are not split any further. */
const minNumSamples = 3;

/** A CART tree (Breiman, Friedman, Olshen and Stone 1984), split by Gini impurity or squared error until its leaves are pure. */
export function growTree({ rows, targets, classes }: TreeRows): DecisionTree {
  const D = rows.length / targets.length;
  const matrix = new Matrix(Array.from(targets, (_, row) => Array.from(rows.subarray(row * D, (row + 1) * D))));
  const root = classes === undefined ? growRegression(matrix, [...targets]) : growClassifier(matrix, [...targets]);
  return flatten(root, { rows, targets, ...(classes !== undefined && { classes }) });
}

function growClassifier(rows: Matrix, targets: number[]): CartNode {
  const tree = new DecisionTreeClassifier({ minNumSamples, gainThreshold: 0 });
  tree.train(rows, targets);
  return tree.root;
}

/**
 * ml-cart counts the error that a split leaves as its gain, and takes none at all for no gain: a target that one split explains
 * would never be split. Thresholds below 0 let it, for which the root has to be trained itself.
 */
function growRegression(rows: Matrix, targets: number[]): CartNode {
  const options = {
    kind: 'regression',
    gainFunction: 'regression',
    splitFunction: 'mean',
    minNumSamples,
    maxDepth: Number.POSITIVE_INFINITY,
    gainThreshold: -1,
  };
  const { root } = DecisionTreeRegression.load({ name: 'DTRegression', options, root: { distribution: 0 } });
  root.train(rows, targets, 0, -1);
  return root;
}

function flatten(root: CartNode, { rows, targets, classes }: TreeRows): DecisionTree {
  const D = rows.length / targets.length;
  const K = classes ?? 1;
  const features: number[] = [];
  const thresholds: number[] = [];
  const rightChildren: number[] = [];
  const covers: number[] = [];
  const values: number[] = [];
  const visit = ({ left, right, splitColumn, splitValue }: CartNode, members: number[]): void => {
    const place = features.length;
    const isSplit = left !== undefined && right !== undefined;
    features.push(isSplit ? splitColumn! : -1);
    thresholds.push(isSplit ? floatBelow(splitValue!) : 0);
    rightChildren.push(0);
    covers.push(members.length);
    values.push(...(isSplit ? new Array<number>(K).fill(0) : leafValues(members, targets, classes)));
    if (!isSplit) return;
    const isLeft = (row: number) => rows[row * D + splitColumn!]! < splitValue!;
    visit(left, members.filter(isLeft));
    rightChildren[place] = features.length;
    visit(
      right,
      members.filter((row) => !isLeft(row)),
    );
  };
  visit(root, [...targets.keys()]);
  return {
    features: Int32Array.from(features),
    thresholds: Float32Array.from(thresholds),
    rightChildren: Int32Array.from(rightChildren),
    covers: Float64Array.from(covers),
    values: Float64Array.from(values),
  };
}

function leafValues(members: number[], targets: Float64Array, classes: number | undefined): number[] {
  if (classes === undefined) return [members.reduce((sum, row) => sum + targets[row]!, 0) / members.length];
  const counts = new Array<number>(classes).fill(0);
  for (const row of members) counts[targets[row]!]! += 1;
  return counts.map((count) => count / members.length);
}

const bits = new Int32Array(1);
const float = new Float32Array(bits.buffer);

/** The largest float32 below a number: to be at most this and to be below the number is the same for every float32. */
export function floatBelow(value: number): number {
  float[0] = value;
  if (float[0] < value) return float[0];
  if (float[0] === 0) return -(2 ** -149);
  bits[0]! += float[0] > 0 ? -1 : 1;
  return float[0];
}

/** Adds the values (K) of the leaf that a row (D) reaches to `sums`. */
export function addLeaf(tree: DecisionTree, row: ArrayLike<number>, sums: Float64Array): void {
  const { features, thresholds, rightChildren, values } = tree;
  let node = 0;
  while (features[node]! >= 0) {
    node = row[features[node]!]! <= thresholds[node]! ? node + 1 : rightChildren[node]!;
  }
  for (let k = 0; k < sums.length; k++) sums[k]! += values[node * sums.length + k]!;
}
