import { PatchlineError } from '../../shared/errors.js';
import type { ModelProto, NodeProto } from '../../shared/onnx/model.js';
import { type Attribution, largest, type Question, type Scale, valuesOfColumns } from './attribution.js';
import { featureColumns } from './feature-columns.js';
import { createInterventionalTreeShap } from './interventional-tree-shap.js';
import { logisticTreeShap, type TreeRun } from './logistic-tree-shap.js';
import { nodeNotSupported } from './node-attributes.js';
import { expectedByCover, pathDependentTreeShap } from './path-dependent-tree-shap.js';
import { type OnnxTrees, readTrees, type TreeOutput, treeOps } from './read-tree-ensemble.js';
import { createRowRunner, type TabularModel, withOutputs } from './tabular-model.js';
import { sumLeaves, type TreeEnsemble } from './tree-ensemble.js';

/** A model that ends in trees. */
export interface TreeModel {
  node: NodeProto;
  /** The column of the data that each feature of the trees is made of. */
  columns: Int32Array;
  onnx: OnnxTrees;
}

/**
 * The trees that make the explained output.
 *
 * @throws OP_NOT_SUPPORTED where other nodes make it, or features before the trees are mixed
 */
export function findTrees(model: TabularModel): TreeModel {
  const node = model.makers.get(model.scores);
  if (!node || !treeOps.includes(node.opType)) {
    const made = node ? `the node ${node.name || node.output[0]} (${node.opType})` : 'an input';
    throw new PatchlineError('OP_NOT_SUPPORTED', `Expected trees for the output ${model.output} but ${made} makes it`);
  }
  if (node.output.length > 1 && node.output[0] === model.scores) {
    throw nodeNotSupported(node, `gives labels in ${model.scores}; its scores are ${node.output[1]}`);
  }
  const columns = featureColumns(model, node.input[0]!);
  return { node, columns, onnx: readTrees(node, columns.length) };
}

/**
 * Shapley values of trees: interventional where there is a background, path-dependent where there are covers.
 *
 * @throws EXPLANATION_INCONSISTENT where onnxruntime gives other sums than the trees as they were read
 */
export async function attributeTrees(model: TabularModel, found: TreeModel, question: Question): Promise<Attribution> {
  const { background, nodeCover, onRows } = question;
  const { trees } = found.onnx;
  if (background !== undefined && nodeCover !== undefined) {
    throw usage('Expected either --background (interventional) or --node-cover (path-dependent) but received both');
  }
  if (background === undefined && nodeCover === undefined) {
    throw usage(
      'Expected --background, usual rows to compare with, or --node-cover, the training weight of each node, which ONNX ' +
        'files do not carry, for the method tree but received neither',
    );
  }
  const own = await runTrees(model, found, question.rows);
  if (nodeCover !== undefined) {
    if (question.scale === 'probability') throw usage('Expected --background beside --explain-output probability');
    assertCovers(trees, nodeCover);
    const values = pathDependentTreeShap(trees, nodeCover, own.features, onRows);
    const expected = expectedByCover(trees, nodeCover);
    return attributionOf(model, found, scaleOf(found), marginsOf(found.onnx), values, expected, own.sums);
  }
  const usual = await runTrees(model, found, background!);
  if (question.scale === 'probability' && found.onnx.postTransform !== 'NONE') {
    if (found.onnx.postTransform !== 'LOGISTIC') {
      throw nodeNotSupported(
        found.node,
        `makes probabilities by ${found.onnx.postTransform}: the method exact can explain them`,
      );
    }
    const { values, expected, predictions } = logisticTreeShap(trees, usual, own, onRows);
    const outputs = found.onnx.columns.length > trees.K ? complements : found.onnx.columns;
    return attributionOf(model, found, 'probability', outputs, values, expected, predictions);
  }
  const isShare = question.scale === 'probability';
  const explain = createInterventionalTreeShap(trees, usual.features);
  const expected = meanOf(usual.sums, trees.K);
  const outputs = isShare ? sharesOf(found) : marginsOf(found.onnx);
  return attributionOf(model, found, scaleOf(found), outputs, explain(own.features, { onRows }), expected, own.sums);
}

const scaleOf = ({ onnx: { postTransform } }: TreeModel): Scale => (postTransform === 'NONE' ? 'output' : 'margin');

const complements: TreeOutput[] = [
  { sum: 0, scale: -1, offset: 1 },
  { sum: 0, scale: 1, offset: 0 },
];

/** The margin of two classes is one number, and a forest's shares are two. */
function marginsOf({ columns, trees, postTransform }: OnnxTrees): TreeOutput[] {
  const isMargin = columns.length > trees.K && (postTransform !== 'NONE' || columns[0]!.offset === 0);
  return isMargin ? [{ sum: 0, scale: 1, offset: 0 }] : columns;
}

/** Scores that are probabilities as they stand. */
function sharesOf({ node, onnx: { isClassifier, columns, trees } }: TreeModel): TreeOutput[] {
  if (isClassifier && (columns.length === trees.K || columns[0]!.offset === 1)) return columns;
  throw nodeNotSupported(node, 'gives no probabilities');
}

function attributionOf(
  model: TabularModel,
  { columns, onnx }: TreeModel,
  scale: Scale,
  outputs: readonly TreeOutput[],
  values: Float64Array,
  expected: Float64Array,
  sums: Float64Array,
): Attribution {
  const { K } = onnx.trees;
  return {
    scale,
    K: outputs.length,
    values: valuesOfColumns(mapSums(values, K, outputs, 0), columns, model.D, outputs.length),
    expected: mapSums(expected, K, outputs, 1),
    predictions: mapSums(sums, K, outputs, 1),
  };
}

/** Outputs (count, outputs) of sums (count, K). Differences, such as Shapley values, know no offset. */
function mapSums(sums: Float64Array, K: number, outputs: readonly TreeOutput[], offsets: 0 | 1) {
  const mapped = new Float64Array((sums.length / K) * outputs.length);
  for (let i = 0; i < mapped.length; i++) {
    const { sum, scale, offset } = outputs[i % outputs.length]!;
    mapped[i] = scale * sums[Math.floor(i / outputs.length) * K + sum]! + offsets * offset;
  }
  return mapped;
}

/** Runs the model without post-transform, and holds its scores against the sums of the trees as they were read. */
async function runTrees(model: TabularModel, { node, onnx }: TreeModel, rows: Float64Array): Promise<TreeRun> {
  const { trees, columns } = onnx;
  const seen = 'patchline.features';
  const identity: NodeProto = { opType: 'Identity', input: [node.input[0]!], output: [seen], attribute: [] };
  const nodes = model.proto.graph.node.map((each) => (each === node ? withoutPostTransform(node) : each));
  const proto: ModelProto = { ...model.proto, graph: { ...model.proto.graph, node: nodes } };
  const runner = await createRowRunner(withOutputs(proto, [seen, model.scores], [identity]), model.inputs);
  const results = await runner.run(rows).finally(() => runner.close());
  const features = results[seen]!;
  const scores = results[model.scores]!;
  const sums = sumLeaves(trees, features);
  const read = mapSums(sums, trees.K, columns, 1);
  const tolerance = 1e-5 * largestSum(trees);
  const wrong = read.findIndex((score, i) => !(Math.abs(score - scores[i]!) <= tolerance));
  if (scores.length === read.length && wrong < 0) return { features, sums };
  throw new PatchlineError(
    'EXPLANATION_INCONSISTENT',
    `Expected the scores of the trees as they were read, ${read[wrong]} for row ${Math.floor(wrong / columns.length)}, but ` +
      `onnxruntime gives ${scores[wrong]}`,
    { details: { node: node.name || node.output[0], scores: scores.length, expected: read.length } },
  );
}

function withoutPostTransform(node: NodeProto): NodeProto {
  return { ...node, attribute: node.attribute.filter(({ name }) => name !== 'post_transform') };
}

/** What rounding is measured by: float32 sums of leaves this large. */
function largestSum({ leafWeights, baseValues, roots }: TreeEnsemble): number {
  return largest(baseValues) + largest(leafWeights, Number.MIN_VALUE) * roots.length;
}

const meanOf = (sums: Float64Array, K: number): Float64Array<ArrayBuffer> =>
  Float64Array.from({ length: K }, (_, k) => {
    let sum = 0;
    for (let i = k; i < sums.length; i += K) sum += sums[i]!;
    return sum / (sums.length / K);
  });

function assertCovers({ features, trueChildren, falseChildren }: TreeEnsemble, covers: ArrayLike<number>): void {
  const N = features.length;
  if (covers.length !== N) {
    throw new PatchlineError(
      'SHAPE_MISMATCH',
      `Expected the training weights of the ${N} nodes of the trees for --node-cover but received ${covers.length}`,
    );
  }
  for (let node = 0; node < N; node++) {
    const children = features[node]! < 0 ? [] : [trueChildren[node]!, falseChildren[node]!];
    const fits = children.every((child) => covers[child]! <= covers[node]! * (1 + 1e-5));
    if (covers[node]! >= 0 && Number.isFinite(covers[node]) && fits) continue;
    throw usage(
      'Expected training weights of at least 0, none above that of the parent node, for --node-cover but received ' +
        `${covers[node]} for node ${node}${children.length > 0 ? ` and ${children.map((child) => covers[child]).join(', ')} for its children` : ''}`,
    );
  }
}

const usage = (message: string) => new PatchlineError('ARGUMENT_INVALID', message);
