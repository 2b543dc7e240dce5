import { PatchlineError } from '../../shared/errors.js';
import type { NodeProto } from '../../shared/onnx/model.js';
import {
  type Attribution,
  largest,
  meanRow,
  type Question,
  requireBackground,
  valuesOfColumns,
} from './attribution.js';
import { constantsOf, featureColumns } from './feature-columns.js';
import { assertScores, runLastNode } from './last-node.js';
import { linearScores, linearShap } from './linear-shap.js';
import { activationOps } from './model-attribution.js';
import { nodeNotSupported } from './node-attributes.js';
import { type LinearLayer, readLinear } from './read-linear.js';
import { skipPassing, type TabularModel } from './tabular-model.js';

/** A model that is linear in its columns, but for a last activation. */
export interface LinearModel {
  node: NodeProto;
  columns: Int32Array;
  layer: LinearLayer;
  hasActivation: boolean;
}

/**
 * The linear layer that makes the explained output, below Softmax, Sigmoid or Normalizer.
 *
 * @throws OP_NOT_SUPPORTED where the model is not linear
 */
export function findLinear(model: TabularModel): LinearModel {
  let tensor = model.scores;
  let node = model.makers.get(tensor);
  while (node && [...activationOps, 'Normalizer'].includes(node.opType)) {
    tensor = skipPassing(model.makers, node.input[0]!);
    node = model.makers.get(tensor);
  }
  if (!node) throw new PatchlineError('OP_NOT_SUPPORTED', `Expected a linear layer for the output ${model.output}`);
  if (node.opType === 'LinearClassifier' && node.output[0] === tensor) throw nodeNotSupported(node, 'gives labels');
  const layer = readLinear(model, constantsOf(model.proto), node);
  const columns = featureColumns(model, layer.input);
  if (layer.linear.coefficients.length !== columns.length * layer.linear.intercepts.length) {
    throw nodeNotSupported(node, `has no coefficients for ${columns.length} features`);
  }
  return { node, columns, layer, hasActivation: layer.hasTransform || tensor !== model.scores };
}

/** Shapley values of the scores of a linear model, before any activation. */
export async function attributeLinear(
  model: TabularModel,
  { node, columns, layer, hasActivation }: LinearModel,
  question: Question,
): Promise<Attribution> {
  if (question.scale === 'probability') {
    throw nodeNotSupported(
      node,
      'is linear before its activation alone: the methods exact and kernel explain probabilities',
    );
  }
  const background = await featuresOf(model, node, layer, requireBackground(question, 'linear'));
  const rows = await featuresOf(model, node, layer, question.rows);
  const K = layer.linear.intercepts.length;
  question.onRows?.(question.rows.length / model.D);
  return {
    scale: hasActivation ? 'margin' : 'output',
    K,
    values: valuesOfColumns(linearShap(layer.linear, background, rows), columns, model.D, K),
    expected: meanRow(linearScores(layer.linear, background), K),
    predictions: linearScores(layer.linear, rows),
  };
}

/** What the linear layer sees of rows. */
async function featuresOf(model: TabularModel, node: NodeProto, { input, linear }: LinearLayer, rows: Float64Array) {
  const run = await runLastNode(model, node, input, rows);
  const { coefficients, intercepts } = linear;
  const K = intercepts.length;
  // Rounding: the sum of float32 products of this size.
  const size = largest(intercepts) + (coefficients.length / K) * largest(coefficients) * largest(run.features);
  assertScores(linearScores(linear, run.features), K, run, 1e-5 * size + Number.MIN_VALUE, node);
  return run.features;
}
