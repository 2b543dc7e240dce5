import { PatchlineError } from '../../shared/errors.js';
import type { NodeProto } from '../../shared/onnx/model.js';
import { attributesOf, type NodeAttributes, nodeNotSupported } from './node-attributes.js';
import type { TreeEnsemble } from './tree-ensemble.js';

/** What a model makes of the sums of its leaves. */
export type PostTransform = 'NONE' | 'SOFTMAX' | 'LOGISTIC' | 'SOFTMAX_ZERO' | 'PROBIT';
const postTransforms = ['NONE', 'SOFTMAX', 'LOGISTIC', 'SOFTMAX_ZERO', 'PROBIT'] as const;

/** scale · sum + offset */
export interface TreeOutput {
  sum: number;
  scale: number;
  offset: number;
}

export interface OnnxTrees {
  trees: TreeEnsemble;
  isClassifier: boolean;
  postTransform: PostTransform;
  /** The columns of scores that onnxruntime makes of the sums, before the post-transform. */
  columns: TreeOutput[];
}

export const treeOps: readonly string[] = ['TreeEnsembleRegressor', 'TreeEnsembleClassifier', 'TreeEnsemble'];

/** Comparisons by their numbers in TreeEnsemble of ai.onnx.ml 5, and their names in the older operators. */
const modes = ['BRANCH_LEQ', 'BRANCH_LT', 'BRANCH_GTE', 'BRANCH_GT', 'BRANCH_EQ', 'BRANCH_NEQ', 'BRANCH_MEMBER'];
const leafMode = 'LEAF';

/** The trees of a file as lists. Nodes and children are places in the lists. */
interface NodeLists {
  modes: readonly string[];
  features: ArrayLike<number>;
  thresholds: ArrayLike<number>;
  trueChildren: ArrayLike<number>;
  falseChildren: ArrayLike<number>;
  missingIsTrue: ArrayLike<number>;
  roots: ArrayLike<number>;
  leaves: { nodes: ArrayLike<number>; sums: ArrayLike<number>; weights: ArrayLike<number> };
}

/**
 * The trees of a node TreeEnsembleRegressor or TreeEnsembleClassifier (ai.onnx.ml 1 to 4) or TreeEnsemble (5).
 *
 * @param D number of features
 * @throws OP_NOT_SUPPORTED for set membership, minimum and maximum; MODEL_DAMAGED where the nodes form no trees;
 *   SHAPE_MISMATCH where a split uses a feature that there is not
 */
export function readTrees(node: NodeProto, D: number): OnnxTrees {
  const attributes = attributesOf(node);
  const isNew = node.opType === 'TreeEnsemble';
  const isClassifier = node.opType === 'TreeEnsembleClassifier';
  const labels = Math.max(
    attributes.integers('classlabels_int64s').length,
    attributes.texts('classlabels_strings').length,
  );
  const lists = isNew ? readNumbered(attributes) : readListed(attributes, isClassifier ? 'class' : 'target');
  const { sums, weights } = lists.leaves;
  // A classifier of two classes may hold the weights of one alone; onnxruntime takes them for the second.
  const isSingle = isClassifier && labels === 2 && Array.prototype.every.call(sums, (sum) => sum === 0);
  const isShare = isSingle && Array.prototype.every.call(weights, (weight) => weight >= 0);
  const K = isSingle ? 1 : isClassifier ? labels : attributes.integer('n_targets', 1);
  const trees = buildTrees(node, lists, D, K);
  const baseValues = attributes.numbers('base_values');
  for (let k = 0; k < K; k++) trees.baseValues[k] = baseValues[k] ?? 0;
  averageWeights(node, trees, aggregateOf(attributes, isNew));
  const first = isShare ? { sum: 0, scale: -1, offset: 1 } : { sum: 0, scale: -1, offset: 0 };
  return {
    trees,
    isClassifier,
    postTransform: postTransformOf(node, attributes, isNew),
    columns: isSingle ? [first, plain(0)] : Array.from({ length: K }, (_, k) => plain(k)),
  };
}

const plain = (sum: number): TreeOutput => ({ sum, scale: 1, offset: 0 });

function aggregateOf(attributes: NodeAttributes, isNew: boolean): string {
  if (!isNew) return attributes.text('aggregate_function', 'SUM');
  return ['AVERAGE', 'SUM', 'MIN', 'MAX'][attributes.integer('aggregate_function', 1)] ?? 'unknown';
}

function averageWeights(node: NodeProto, { leafWeights, roots }: TreeEnsemble, aggregate: string): void {
  if (aggregate === 'SUM') return;
  if (aggregate !== 'AVERAGE') throw nodeNotSupported(node, `takes the ${aggregate} of its trees and not their sum`);
  for (let e = 0; e < leafWeights.length; e++) leafWeights[e]! /= roots.length;
}

function postTransformOf(node: NodeProto, attributes: NodeAttributes, isNew: boolean): PostTransform {
  const name = isNew
    ? postTransforms[attributes.integer('post_transform', 0)]
    : attributes.text('post_transform', 'NONE');
  const known = postTransforms.find((transform) => transform === name);
  if (known === undefined) throw nodeNotSupported(node, `has the unknown post-transform ${name}`);
  return known;
}

/** ai.onnx.ml 1 to 4: nodes known by the numbers of tree and node, leaves among them. */
function readListed(attributes: NodeAttributes, kind: 'class' | 'target'): NodeLists {
  const treeIds = attributes.integers('nodes_treeids');
  const nodeIds = attributes.integers('nodes_nodeids');
  const nodeModes = attributes.texts('nodes_modes');
  const keyOf = (tree: number, node: number) => tree * 2 ** 26 + node;
  const places = new Map(nodeIds.map((id, place) => [keyOf(treeIds[place]!, id), place]));
  const placeOf = (tree: number, node: number) => places.get(keyOf(tree, node)) ?? -1;
  const childrenOf = (name: string) => {
    const ids = attributes.integers(name);
    return treeIds.map((tree, place) => (nodeModes[place] === leafMode ? -1 : placeOf(tree, ids[place]!)));
  };
  const trueChildren = childrenOf('nodes_truenodeids');
  const falseChildren = childrenOf('nodes_falsenodeids');
  const children = new Set([...trueChildren, ...falseChildren]);
  const leafNodes = attributes.integers(`${kind}_nodeids`);
  return {
    modes: nodeModes,
    features: attributes.integers('nodes_featureids'),
    thresholds: attributes.numbers('nodes_values'),
    trueChildren,
    falseChildren,
    missingIsTrue: attributes.integers('nodes_missing_value_tracks_true'),
    roots: [...treeIds.keys()].filter((place) => !children.has(place)),
    leaves: {
      nodes: attributes.integers(`${kind}_treeids`).map((tree, e) => placeOf(tree, leafNodes[e]!)),
      sums: attributes.integers(`${kind}_ids`),
      weights: attributes.numbers(`${kind}_weights`),
    },
  };
}

/** ai.onnx.ml 5: inner nodes by their place; the leaves come after them. */
function readNumbered(attributes: NodeAttributes): NodeLists {
  const inner = attributes.bytes('nodes_modes');
  const weights = attributes.numbers('leaf_weights');
  const childrenOf = (ids: readonly number[], isLeaf: readonly number[]) =>
    Array.from({ length: inner.length + weights.length }, (_, place) =>
      place < inner.length ? ids[place]! + (isLeaf[place] ? inner.length : 0) : -1,
    );
  return {
    modes: [...Array.from(inner, (mode) => modes[mode] ?? `mode ${mode}`), ...Array.from(weights, () => leafMode)],
    features: attributes.integers('nodes_featureids'),
    thresholds: attributes.numbers('nodes_splits'),
    trueChildren: childrenOf(attributes.integers('nodes_truenodeids'), attributes.integers('nodes_trueleafs')),
    falseChildren: childrenOf(attributes.integers('nodes_falsenodeids'), attributes.integers('nodes_falseleafs')),
    missingIsTrue: attributes.integers('nodes_missing_value_tracks_true'),
    roots: attributes.integers('tree_roots'),
    leaves: {
      nodes: Array.from(weights, (_, leaf) => inner.length + leaf),
      sums: attributes.integers('leaf_targetids'),
      weights,
    },
  };
}

function buildTrees(node: NodeProto, lists: NodeLists, D: number, K: number): TreeEnsemble {
  const N = lists.modes.length;
  const trees: TreeEnsemble = {
    D,
    K,
    roots: Int32Array.from(lists.roots),
    features: new Int32Array(N).fill(-1),
    lower: new Float64Array(N),
    upper: new Float64Array(N),
    missingIsTrue: new Uint8Array(N),
    trueChildren: Int32Array.from(lists.trueChildren),
    falseChildren: Int32Array.from(lists.falseChildren),
    ...leavesOf(node, lists, N, K),
    baseValues: new Float64Array(K),
  };
  for (let place = 0; place < N; place++) {
    if (lists.modes[place] === leafMode) continue;
    const feature = lists.features[place]!;
    if (!(feature >= 0 && feature < D)) {
      const message = `Expected at least ${feature + 1} features for the trees of ${node.output[0]} but received ${D}`;
      throw new PatchlineError('SHAPE_MISMATCH', message);
    }
    trees.features[place] = feature;
    if (lists.missingIsTrue[place]) trees.missingIsTrue[place] = 1;
    setComparison(node, trees, place, lists.modes[place]!, lists.thresholds[place]!);
  }
  joinEqualChildren(trees);
  assertTrees(node, trees);
  return trees;
}

/** The entries of the leaves in the order of the nodes; those of weight 0 are left out. */
function leavesOf(node: NodeProto, { leaves, modes }: NodeLists, N: number, K: number) {
  const entries = Array.from(leaves.nodes, (place, e) => ({ place, sum: leaves.sums[e]!, weight: leaves.weights[e]! }));
  if (!entries.every(({ place, sum }) => modes[place] === leafMode && sum >= 0 && sum < K)) {
    throw damaged(node, 'a leaf has a weight for something that there is not');
  }
  const used = entries.filter(({ weight }) => weight !== 0).sort((a, b) => a.place - b.place);
  const leafStarts = new Int32Array(N + 1);
  for (const { place } of used) leafStarts[place + 1]!++;
  for (let place = 0; place < N; place++) leafStarts[place + 1]! += leafStarts[place]!;
  return {
    leafStarts,
    leafSums: Int32Array.from(used, ({ sum }) => sum),
    leafWeights: Float64Array.from(used, ({ weight }) => weight),
  };
}

function setComparison(node: NodeProto, trees: TreeEnsemble, place: number, mode: string, threshold: number): void {
  const intervals: Record<string, [lower: number, upper: number]> = {
    BRANCH_LEQ: [Number.NEGATIVE_INFINITY, threshold],
    BRANCH_LT: [Number.NEGATIVE_INFINITY, -nextUp(-threshold)],
    BRANCH_GTE: [threshold, Number.POSITIVE_INFINITY],
    BRANCH_GT: [nextUp(threshold), Number.POSITIVE_INFINITY],
    BRANCH_EQ: [threshold, threshold],
    BRANCH_NEQ: [threshold, threshold],
  };
  const interval = intervals[mode];
  if (!interval) throw nodeNotSupported(node, `splits by ${mode}: only comparisons with one number can be explained`);
  [trees.lower[place], trees.upper[place]] = interval;
  if (mode !== 'BRANCH_NEQ') return;
  trees.missingIsTrue[place] = 0; // NaN differs from every number: it goes to the true child anyway, the false one here
  const { trueChildren, falseChildren } = trees;
  [trueChildren[place], falseChildren[place]] = [falseChildren[place]!, trueChildren[place]!];
}

const bits = new BigInt64Array(1);
const number = new Float64Array(bits.buffer);

/** The next larger float64. */
function nextUp(value: number): number {
  if (value === 0) return Number.MIN_VALUE;
  if (value === Number.POSITIVE_INFINITY) return Number.NaN; // nothing is larger
  number[0] = value;
  bits[0]! += value > 0 ? 1n : -1n;
  return number[0];
}

/** A tree of one leaf is written as a node both of whose children are that leaf. */
function joinEqualChildren({ features, trueChildren, falseChildren, ...trees }: TreeEnsemble): void {
  for (const [tree, root] of trees.roots.entries()) {
    if (features[root]! >= 0 && trueChildren[root] === falseChildren[root]) trees.roots[tree] = trueChildren[root]!;
  }
}

/** Each node must be reached from the roots on one way only, or not at all. */
function assertTrees(node: NodeProto, { roots, features, trueChildren, falseChildren }: TreeEnsemble): void {
  const reached = new Uint8Array(features.length);
  const waiting = [...roots];
  for (let place = waiting.pop(); place !== undefined; place = waiting.pop()) {
    if (!(place >= 0 && place < features.length)) throw damaged(node, 'a child or a root is missing');
    if (reached[place]!++ !== 0) throw damaged(node, 'a node has two parents');
    if (features[place]! >= 0) waiting.push(trueChildren[place]!, falseChildren[place]!);
  }
  if (roots.length === 0) throw damaged(node, 'there is no root');
}

const damaged = (node: NodeProto, fault: string) =>
  new PatchlineError('MODEL_DAMAGED', `Expected trees in the node ${node.name || node.output[0]} but ${fault}`);
