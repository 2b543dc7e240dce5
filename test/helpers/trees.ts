import type { Random } from '../../src/shared/kernels/random.js';
import {
  type AttributeProto,
  attributeTypes,
  elementTypes,
  type ModelProto,
  readModel,
  writeModel,
} from '../../src/shared/onnx/model.js';

const modes = [
  'BRANCH_LEQ',
  'BRANCH_LT',
  'BRANCH_GTE',
  'BRANCH_GT',
  'BRANCH_EQ',
  'BRANCH_NEQ',
  'BRANCH_MEMBER',
] as const;
export type Mode = (typeof modes)[number];

export interface TreeNode {
  feature: number;
  mode: Mode;
  threshold: number;
  missingIsTrue: boolean;
  children: [whenTrue: TreeNode | Leaf, whenFalse: TreeNode | Leaf];
}
/** One weight for each output; those of 0 are not written. */
export interface Leaf {
  weights: number[];
}
export type Tree = TreeNode | Leaf;
const isLeaf = (tree: Tree): tree is Leaf => 'weights' in tree;

export interface TreeOptions {
  D: number;
  K?: number;
  depth: number;
  modes?: readonly Mode[];
  /** Whether missing values may go to the true child. */
  missing?: boolean;
}

/** A random tree that uses features more than once; values are from a grid, so that comparisons meet equality. */
export function randomTree(
  random: Random,
  { D, K = 1, depth, modes: used = ['BRANCH_LEQ'], missing }: TreeOptions,
): Tree {
  if (depth === 0 || random.uniform() < 0.1) return { weights: Array.from({ length: K }, () => random.normal()) };
  const child = () => randomTree(random, { D, K, depth: depth - 1, modes: used, missing });
  return {
    feature: random.integer(D),
    mode: used[random.integer(used.length)]!,
    threshold: gridValue(random),
    missingIsTrue: missing === true && random.uniform() < 0.5,
    children: [child(), child()],
  };
}

export const gridValue = (random: Random): number => (random.integer(9) - 4) / 4;

export const gridRows = (random: Random, count: number, D: number): Float64Array<ArrayBuffer> =>
  Float64Array.from({ length: count * D }, () => gridValue(random));

interface ListedNode {
  tree: number;
  id: number;
  node: Tree;
}

/** Nodes in the order of the file: each tree from its root, a node before its children, the true one first. */
function listNodes(trees: readonly Tree[]): ListedNode[] {
  return trees.flatMap((root, tree) => {
    const listed: ListedNode[] = [];
    const visit = (node: Tree) => {
      listed.push({ tree, id: listed.length, node });
      if (!isLeaf(node)) for (const child of node.children) visit(child);
    };
    visit(root);
    return listed;
  });
}

/** Training weights that fit: 1,000 at each root, shared out at random. In the order of the nodes of `listedModel`. */
export function randomCovers(random: Random, trees: readonly Tree[]): Float64Array {
  const covers: number[] = [];
  const visit = (node: Tree, cover: number) => {
    covers.push(cover);
    if (isLeaf(node)) return;
    const part = 0.05 + 0.9 * random.uniform();
    visit(node.children[0], cover * part);
    visit(node.children[1], cover * (1 - part));
  };
  for (const root of trees) visit(root, 1000);
  return Float64Array.from(covers);
}

const ints = (name: string, values: readonly number[]): AttributeProto => ({
  name,
  type: attributeTypes.ints,
  ints: [...values],
});
const floats = (name: string, values: readonly number[]): AttributeProto => ({
  name,
  type: attributeTypes.floats,
  floats: [...values],
});
const int = (name: string, i: number): AttributeProto => ({ name, type: attributeTypes.int, i });
const text = (name: string, value: string): AttributeProto => ({
  name,
  type: attributeTypes.string,
  s: new TextEncoder().encode(value),
});
const texts = (name: string, values: readonly string[]): AttributeProto => ({
  name,
  type: attributeTypes.strings,
  strings: values.map((value) => new TextEncoder().encode(value)),
});

export interface ModelOptions {
  D: number;
  K?: number;
  baseValues?: readonly number[];
  aggregate?: 'SUM' | 'AVERAGE' | 'MIN' | 'MAX';
  postTransform?: string;
  /** Makes a classifier of so many classes. */
  classes?: number;
}

/** TreeEnsembleRegressor or TreeEnsembleClassifier of ai.onnx.ml 3. */
export function listedModel(trees: readonly Tree[], options: ModelOptions): ModelProto {
  const { D, K = 1, classes, baseValues = [], aggregate = 'SUM', postTransform = 'NONE' } = options;
  const listed = listNodes(trees);
  const idOf = new Map(listed.map(({ node, id }) => [node, id]));
  const childIds = (side: 0 | 1) => listed.map(({ node }) => (isLeaf(node) ? 0 : idOf.get(node.children[side])!));
  const entries = listed.flatMap(({ tree, id, node }) =>
    isLeaf(node) ? node.weights.map((weight, k) => ({ tree, id, k, weight })).filter(({ weight }) => weight !== 0) : [],
  );
  const kind = classes === undefined ? 'target' : 'class';
  const value = (read: (node: TreeNode) => number) => listed.map(({ node }) => (isLeaf(node) ? 0 : read(node)));
  const attribute = [
    ints(
      'nodes_treeids',
      listed.map(({ tree }) => tree),
    ),
    ints(
      'nodes_nodeids',
      listed.map(({ id }) => id),
    ),
    ints(
      'nodes_featureids',
      value(({ feature }) => feature),
    ),
    floats(
      'nodes_values',
      value(({ threshold }) => threshold),
    ),
    texts(
      'nodes_modes',
      listed.map(({ node }) => (isLeaf(node) ? 'LEAF' : node.mode)),
    ),
    ints('nodes_truenodeids', childIds(0)),
    ints('nodes_falsenodeids', childIds(1)),
    ints(
      'nodes_missing_value_tracks_true',
      value(({ missingIsTrue }) => Number(missingIsTrue)),
    ),
    ints(
      `${kind}_treeids`,
      entries.map(({ tree }) => tree),
    ),
    ints(
      `${kind}_nodeids`,
      entries.map(({ id }) => id),
    ),
    ints(
      `${kind}_ids`,
      entries.map(({ k }) => k),
    ),
    floats(
      `${kind}_weights`,
      entries.map(({ weight }) => weight),
    ),
    text('post_transform', postTransform),
    ...(baseValues.length > 0 ? [floats('base_values', baseValues)] : []),
    ...(classes === undefined
      ? [int('n_targets', K), text('aggregate_function', aggregate)]
      : [ints('classlabels_int64s', [...new Array(classes).keys()])]),
  ];
  return classes === undefined
    ? modelOf('TreeEnsembleRegressor', attribute, ['scores'], D, 3)
    : modelOf('TreeEnsembleClassifier', attribute, ['label', 'scores'], D, 3);
}

/** TreeEnsemble of ai.onnx.ml 5, for one weight a leaf. */
export function numberedModel(
  trees: readonly Tree[],
  { D, aggregate = 'SUM', postTransform = 'NONE' }: ModelOptions,
): ModelProto {
  const listed = listNodes(trees.map((tree) => (isLeaf(tree) ? twoLeaves(tree) : tree)));
  const inner = listed.filter(({ node }) => !isLeaf(node));
  const leaves = listed.filter(({ node }) => isLeaf(node));
  const placeOf = new Map([...inner, ...leaves].map(({ node }, place) => [node, place] as const));
  const nodes = inner.map(({ node }) => node as TreeNode);
  const childPlaces = (side: 0 | 1) =>
    nodes.map(({ children }) => placeOf.get(children[side])! - (isLeaf(children[side]) ? inner.length : 0));
  const leafFlags = (side: 0 | 1) => nodes.map(({ children }) => Number(isLeaf(children[side])));
  const tensor = (name: string, values: Float32Array | Uint8Array, dataType: number): AttributeProto => ({
    name,
    type: attributeTypes.tensor,
    t: { dims: [values.length], dataType, rawData: new Uint8Array(values.buffer) },
  });
  const attribute = [
    int('n_targets', 1),
    int('aggregate_function', ['AVERAGE', 'SUM', 'MIN', 'MAX'].indexOf(aggregate)),
    int('post_transform', ['NONE', 'SOFTMAX', 'LOGISTIC', 'SOFTMAX_ZERO', 'PROBIT'].indexOf(postTransform)),
    ints(
      'tree_roots',
      inner.flatMap(({ id }, place) => (id === 0 ? [place] : [])),
    ),
    ints(
      'nodes_featureids',
      nodes.map(({ feature }) => feature),
    ),
    tensor(
      'nodes_splits',
      Float32Array.from(nodes, ({ threshold }) => threshold),
      elementTypes.float32,
    ),
    tensor(
      'nodes_modes',
      Uint8Array.from(nodes, ({ mode }) => modes.indexOf(mode)),
      elementTypes.uint8,
    ),
    ints('nodes_truenodeids', childPlaces(0)),
    ints('nodes_trueleafs', leafFlags(0)),
    ints('nodes_falsenodeids', childPlaces(1)),
    ints('nodes_falseleafs', leafFlags(1)),
    ints(
      'nodes_missing_value_tracks_true',
      nodes.map(({ missingIsTrue }) => Number(missingIsTrue)),
    ),
    ints(
      'leaf_targetids',
      leaves.map(() => 0),
    ),
    tensor(
      'leaf_weights',
      Float32Array.from(leaves, ({ node }) => (node as Leaf).weights[0]!),
      elementTypes.float32,
    ),
  ];
  return modelOf('TreeEnsemble', attribute, ['scores'], D, 5);
}

/** A tree of one leaf as the format wants it: a node whose both children are that leaf. */
const twoLeaves = (leaf: Leaf): TreeNode => ({
  feature: 0,
  mode: 'BRANCH_LEQ',
  threshold: 0,
  missingIsTrue: false,
  children: [leaf, leaf],
});

function modelOf(
  opType: string,
  attribute: AttributeProto[],
  output: string[],
  D: number,
  mlVersion: number,
): ModelProto {
  const info = (name: string, elemType: number, width?: number) => ({
    name,
    type: { tensorType: { elemType, shape: { dim: [{ dimParam: 'N' }, ...(width ? [{ dimValue: width }] : [])] } } },
  });
  const proto: ModelProto = {
    irVersion: 8,
    opsetImport: [
      { domain: '', version: 17 },
      { domain: 'ai.onnx.ml', version: mlVersion },
    ],
    graph: {
      name: 'trees',
      node: [{ opType, domain: 'ai.onnx.ml', name: 'trees', input: ['rows'], output, attribute }],
      initializer: [],
      input: [info('rows', elementTypes.float32, D)],
      output: output.map((name) =>
        name === 'label'
          ? info(name, elementTypes.int64)
          : { name, type: { tensorType: { elemType: elementTypes.float32 } } },
      ),
    },
  };
  return readModel(writeModel(proto)); // a file holds float32
}
