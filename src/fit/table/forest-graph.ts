import { createGraphBuilder, mlDomain } from '../../shared/onnx/graph-builder.js';
import type { ModelProto } from '../../shared/onnx/model.js';
import type { Forest } from './forest.js';
import { describeModel, inputName } from './model-description.js';
import type { TrainingTable } from './training-table.js';

/**
 * A forest as TreeEnsembleRegressor or TreeEnsembleClassifier. Leaves hold their share of the mean of the trees; those of a
 * regression are measured from the mean target, so that float32 sums of large targets keep their digits. A missing value goes
 * where the column's median goes.
 */
export function composeForest(forest: Forest, table: Pick<TrainingTable, 'columns' | 'target'>): ModelProto {
  const { medians, classes } = forest;
  const graph = createGraphBuilder({ mlOpset: 3 });
  const rows = graph.input(inputName, 'float32', ['N', medians.length]);
  if (classes) {
    const attributes = { ...nodesOf(forest), ...leavesOf(forest, 'class', 0), classlabels_strings: { texts: classes } };
    const [, shares] = graph.addMulti('TreeEnsembleClassifier', [rows], attributes, 2, mlDomain);
    describeModel(graph, shares!, table);
  } else {
    const { values } = table.target;
    const mean = Math.fround(values.reduce((sum, value) => sum + value, 0) / values.length);
    const base = { n_targets: 1, base_values: { floats: [mean] } };
    const attributes = { ...nodesOf(forest), ...leavesOf(forest, 'target', mean), ...base };
    const [sums] = graph.addMulti('TreeEnsembleRegressor', [rows], attributes, 1, mlDomain);
    describeModel(graph, sums!, table);
  }
  return graph.build();
}

/** Training rows of each node, in the order of the model's. */
export function nodeCoverOf({ trees }: Forest): Float64Array<ArrayBuffer> {
  return Float64Array.from(trees.flatMap(({ covers }) => [...covers]));
}

function nodesOf({ trees, medians }: Forest) {
  const list = <T>(read: (tree: Forest['trees'][number], node: number, number: number) => T): T[] =>
    trees.flatMap((tree, number) => Array.from(tree.features, (_, node) => read(tree, node, number)));
  const split = (read: (tree: Forest['trees'][number], node: number) => number) =>
    list((tree, node) => (tree.features[node]! < 0 ? 0 : read(tree, node)));
  return {
    nodes_treeids: list((_tree, _node, number) => number),
    nodes_nodeids: list((_, node) => node),
    nodes_featureids: split(({ features }, node) => features[node]!),
    nodes_values: { floats: split(({ thresholds }, node) => thresholds[node]!) },
    nodes_modes: { texts: list(({ features }, node) => (features[node]! < 0 ? 'LEAF' : 'BRANCH_LEQ')) },
    nodes_truenodeids: split((_, node) => node + 1),
    nodes_falsenodeids: split(({ rightChildren }, node) => rightChildren[node]!),
    nodes_missing_value_tracks_true: split(({ features, thresholds }, node) =>
      Number(medians[features[node]!]! <= thresholds[node]!),
    ),
    post_transform: 'NONE',
  };
}

/** Leaf weights for each of the K sums, less `base` in all. */
function leavesOf({ trees, classes }: Forest, kind: 'class' | 'target', base: number) {
  const K = classes?.length ?? 1;
  const entries = trees.flatMap(({ features, values }, tree) =>
    Array.from(values, (value, i) => ({ tree, node: Math.floor(i / K), k: i % K, value })).filter(
      ({ node }) => features[node]! < 0,
    ),
  );
  return {
    [`${kind}_treeids`]: entries.map(({ tree }) => tree),
    [`${kind}_nodeids`]: entries.map(({ node }) => node),
    [`${kind}_ids`]: entries.map(({ k }) => k),
    [`${kind}_weights`]: { floats: entries.map(({ value }) => (value - base) / trees.length) },
  };
}
