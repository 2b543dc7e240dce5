import { PatchlineError } from '../../shared/errors.js';
import type { ModelProto, NodeProto } from '../../shared/onnx/model.js';
import { type Attribution, largest, type Question, requireBackground, valuesOfColumns } from './attribution.js';
import { constantsOf, featureColumns } from './feature-columns.js';
import { linearScores, linearShap } from './linear-shap.js';
import { activationOps } from './model-attribution.js';
import { nodeNotSupported } from './node-attributes.js';
import { type LinearLayer, readLinear } from './read-linear.js';
import { createRowRunner, skipPassing, type TabularModel, withOutputs } from './tabular-model.js';

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
  const usual = linearScores(layer.linear, background);
  question.onRows?.(question.rows.length / model.D);
  return {
    scale: hasActivation ? 'margin' : 'output',
    K,
    values: valuesOfColumns(linearShap(layer.linear, background, rows), columns, model.D, K),
    expected: Float64Array.from({ length: K }, (_, k) => meanOfOutput(usual, K, k)),
    predictions: linearScores(layer.linear, rows),
  };
}

function meanOfOutput(outputs: Float64Array, K: number, k: number): number {
  let sum = 0;
  for (let i = k; i < outputs.length; i += K) sum += outputs[i]!;
  return sum / (outputs.length / K);
}

/** What the linear layer sees of rows; onnxruntime's scores of them are held against those of the layer as it was read. */
async function featuresOf(model: TabularModel, node: NodeProto, { input, linear }: LinearLayer, rows: Float64Array) {
  const seen = 'patchline.features';
  const scored = node.output.at(-1)!;
  const identity: NodeProto = { opType: 'Identity', input: [input], output: [seen], attribute: [] };
  const plain = { ...node, attribute: node.attribute.filter(({ name }) => name !== 'post_transform') };
  const nodes = model.proto.graph.node.map((each) => (each === node ? plain : each));
  const proto: ModelProto = { ...model.proto, graph: { ...model.proto.graph, node: nodes } };
  const runner = await createRowRunner(withOutputs(proto, [seen, scored], [identity]), model.inputs);
  const results = await runner.run(rows).finally(() => runner.close());
  const features = results[seen]!;
  const own = linearScores(linear, features);
  const K = linear.intercepts.length;
  const scores = results[scored]!;
  const width = (scores.length * K) / own.length;
  const tolerance =
    1e-5 * (largest(linear.intercepts) + columnsSize(linear.coefficients, features, K) + Number.MIN_VALUE);
  const wrong = own.findIndex((score, i) => {
    const column = width === K ? i % K : width - 1; // the margin of two classes is the second score
    return !(Math.abs(score - scores[Math.floor(i / K) * width + column]!) <= tolerance);
  });
  if (wrong < 0) return features;
  throw new PatchlineError(
    'EXPLANATION_INCONSISTENT',
    `Expected the score ${own[wrong]} of the linear layer as it was read for row ${Math.floor(wrong / K)} but onnxruntime ` +
      'gives another',
  );
}

/** What rounding is measured by: the largest sum of the sizes of the products. */
function columnsSize(coefficients: Float64Array, features: Float64Array, K: number): number {
  const D = coefficients.length / K;
  return D * largest(coefficients) * largest(features);
}
