import { PatchlineError } from '../../shared/errors.js';
import type { NodeProto } from '../../shared/onnx/model.js';
import { type Attribution, largest, meanRow, type Question, type Scale, valuesOfColumns } from './attribution.js';
import { featureColumns } from './feature-columns.js';
import { createInterventionalTreeShap } from './interventional-tree-shap.js';
import { assertScores, runLastNode } from './last-node.js';
import { logisticTreeShap, type TreeRun } from './logistic-tree-shap.js';
import { nodeNotSupported } from './node-attributes.js';
import { assertCovers, expectedByCover } from './node-cover.js';
import { pathDependentTreeShap } from './path-dependent-tree-shap.js';
import { type OnnxTrees, readTrees, type TreeOutput, treeOps } from './read-tree-ensemble.js';
import type { TabularModel } from './tabular-model.js';
import { sumLeaves } from './tree-ensemble.js';

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
 * @throws EXPLANATION_INCONSISTENT where onnxruntime gives other scores than the trees as they were read
 */
export async function attributeTrees(model: TabularModel, found: TreeModel, question: Question): Promise<Attribution> {
  const { background, nodeCover } = question;
  if (background !== undefined && nodeCover !== undefined) {
    throw usage('Expected either --background (interventional) or --node-cover (path-dependent) but received both');
  }
  if (nodeCover !== undefined) return attributeByCover(model, found, question, nodeCover);
  if (background !== undefined) return attributeByBackground(model, found, question, background);
  throw usage(
    'Expected --background, usual rows to compare with, or --node-cover, the training weight of each node, which ONNX ' +
      'files do not carry, for the method tree but received neither',
  );
}

async function attributeByCover(
  model: TabularModel,
  found: TreeModel,
  { rows, scale, onRows }: Question,
  covers: ArrayLike<number>,
): Promise<Attribution> {
  if (scale === 'probability') throw usage('Expected --background beside --explain-output probability');
  const { trees } = found.onnx;
  assertCovers(trees, covers);
  const { features, sums } = await runTrees(model, found, rows);
  return attributionOf(model, found, scaleOf(found), marginsOf(found.onnx), {
    values: pathDependentTreeShap(trees, covers, features, onRows),
    expected: expectedByCover(trees, covers),
    predictions: sums,
  });
}

async function attributeByBackground(
  model: TabularModel,
  found: TreeModel,
  { rows, scale, onRows }: Question,
  background: Float64Array,
): Promise<Attribution> {
  const { trees, columns, postTransform } = found.onnx;
  const own = await runTrees(model, found, rows);
  const usual = await runTrees(model, found, background);
  if (scale === 'probability' && postTransform === 'LOGISTIC') {
    const outputs = columns.length > trees.K ? complements : columns;
    return attributionOf(model, found, scale, outputs, logisticTreeShap(trees, usual, own, onRows));
  }
  const outputs = scale === 'probability' ? sharesOf(found) : marginsOf(found.onnx);
  return attributionOf(model, found, scaleOf(found), outputs, {
    values: createInterventionalTreeShap(trees, usual.features)(own.features, { onRows }),
    expected: meanRow(usual.sums, trees.K),
    predictions: own.sums,
  });
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
function sharesOf({ node, onnx: { isClassifier, columns, trees, postTransform } }: TreeModel): TreeOutput[] {
  if (postTransform !== 'NONE') {
    throw nodeNotSupported(
      node,
      `makes probabilities by ${postTransform}, which the methods exact and kernel can explain`,
    );
  }
  if (isClassifier && (columns.length === trees.K || columns[0]!.offset === 1)) return columns;
  throw nodeNotSupported(node, 'gives no probabilities');
}

/** From values, expected value and predictions of the sums to those of outputs, and from features to columns. */
function attributionOf(
  model: TabularModel,
  { columns, onnx }: TreeModel,
  scale: Scale,
  outputs: readonly TreeOutput[],
  { values, expected, predictions }: Pick<Attribution, 'values' | 'expected' | 'predictions'>,
): Attribution {
  const { K } = onnx.trees;
  return {
    scale,
    K: outputs.length,
    values: valuesOfColumns(mapSums(values, K, outputs, 0), columns, model.D, outputs.length),
    expected: mapSums(expected, K, outputs, 1),
    predictions: mapSums(predictions, K, outputs, 1),
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

async function runTrees(model: TabularModel, { node, onnx }: TreeModel, rows: Float64Array): Promise<TreeRun> {
  const { trees, columns } = onnx;
  const run = await runLastNode(model, node, node.input[0]!, rows);
  const sums = sumLeaves(trees, run.features);
  // Rounding: the float32 sum of leaves of this size.
  const size = largest(trees.baseValues) + largest(trees.leafWeights) * trees.roots.length;
  assertScores(mapSums(sums, trees.K, columns, 1), columns.length, run, 1e-5 * size + Number.MIN_VALUE, node);
  return { features: run.features, sums };
}

const usage = (message: string) => new PatchlineError('ARGUMENT_INVALID', message);
