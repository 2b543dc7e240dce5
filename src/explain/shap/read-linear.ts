import type { NodeProto, TensorProto } from '../../shared/onnx/model.js';
import { readTensorValues } from '../../shared/onnx/tensor-values.js';
import type { LinearScores } from './linear-shap.js';
import { attributesOf, nodeNotSupported } from './node-attributes.js';
import type { TabularModel } from './tabular-model.js';

/** A linear layer: the tensor that it works on and what it makes of it. */
export interface LinearLayer {
  input: string;
  linear: LinearScores;
  /** Whether the node itself turns its scores into probabilities. */
  hasTransform: boolean;
}

/**
 * The linear layer that makes a tensor: LinearRegressor, LinearClassifier, Gemm, or MatMul with or without an Add.
 *
 * @throws OP_NOT_SUPPORTED for any other node
 */
export function readLinear(
  { makers }: Pick<TabularModel, 'makers'>,
  constants: ReadonlyMap<string, TensorProto>,
  node: NodeProto,
): LinearLayer {
  const constant = (name: string | undefined) => (name === undefined ? undefined : constants.get(name));
  if (node.opType === 'LinearRegressor' || node.opType === 'LinearClassifier') return readMlLinear(node);
  if (node.opType === 'Gemm') return readGemm(node, constant);
  if (node.opType === 'MatMul') return readMatMul(node, constant(node.input[1]));
  if (node.opType === 'Add') {
    const [a, b] = node.input as [string, string];
    const [product, bias] = constants.has(a) ? [makers.get(b), constants.get(a)] : [makers.get(a), constants.get(b)];
    if (product?.opType === 'MatMul' && bias) return readMatMul(product, constant(product.input[1]), bias);
  }
  throw nodeNotSupported(node, 'is no linear layer with constant weights');
}

function readMlLinear(node: NodeProto): LinearLayer {
  const attributes = attributesOf(node);
  const coefficients = Float64Array.from(attributes.numbers('coefficients'));
  const labels = Math.max(
    attributes.integers('classlabels_ints').length,
    attributes.texts('classlabels_strings').length,
  );
  const given = attributes.numbers('intercepts');
  const targets = node.opType === 'LinearRegressor' ? attributes.integer('targets', 1) : labels;
  const intercepts = given.length > 0 ? Float64Array.from(given) : new Float64Array(targets);
  const postTransform = attributes.text('post_transform', 'NONE');
  const linear = { coefficients, intercepts };
  if (coefficients.length % intercepts.length !== 0) throw nodeNotSupported(node, 'has rows of unequal length');
  const isMargin = postTransform === 'LOGISTIC' && intercepts.length === 2 && isOpposite(linear);
  return { input: node.input[0]!, linear: isMargin ? second(linear) : linear, hasTransform: postTransform !== 'NONE' };
}

/** Two classes whose scores are each other's negative: the margin is one number. */
function isOpposite({ coefficients, intercepts }: LinearScores): boolean {
  const D = coefficients.length / 2;
  return (
    intercepts[0] === -intercepts[1]! && coefficients.every((value, i) => value === -coefficients[(i + D) % (2 * D)]!)
  );
}

const second = ({ coefficients, intercepts }: LinearScores): LinearScores => ({
  coefficients: coefficients.slice(coefficients.length / 2),
  intercepts: intercepts.slice(1),
});

type ConstantOf = (name: string | undefined) => TensorProto | undefined;

/** alpha · A · B + beta · C */
function readGemm(node: NodeProto, constant: ConstantOf): LinearLayer {
  const attributes = attributesOf(node);
  const weights = constant(node.input[1]);
  if (attributes.integer('transA', 0) !== 0 || weights === undefined) {
    throw nodeNotSupported(node, 'is no linear layer with constant weights');
  }
  const alpha = attributes.float('alpha', 1);
  const beta = attributes.float('beta', 1);
  const layer = matrixLayer(node, weights, attributes.integer('transB', 0) === 1, constant(node.input[2]));
  if (node.input[2] && !constant(node.input[2])) throw nodeNotSupported(node, 'adds what is no constant');
  return {
    ...layer,
    linear: {
      coefficients: layer.linear.coefficients.map((value) => alpha * value),
      intercepts: layer.linear.intercepts.map((value) => beta * value),
    },
  };
}

function readMatMul(node: NodeProto, weights: TensorProto | undefined, bias?: TensorProto): LinearLayer {
  if (!weights) throw nodeNotSupported(node, 'is no linear layer with constant weights');
  return matrixLayer(node, weights, false, bias);
}

function matrixLayer(node: NodeProto, weights: TensorProto, isTransposed: boolean, bias?: TensorProto): LinearLayer {
  const [rows, columns] = weights.dims as [number, number];
  if (weights.dims.length !== 2) throw nodeNotSupported(node, 'multiplies by what is no matrix');
  const values = readTensorValues(weights);
  const [K, D] = isTransposed ? [rows, columns] : [columns, rows];
  const coefficients = isTransposed
    ? values
    : Float64Array.from(values, (_, i) => values[(i % D) * K + Math.floor(i / D)]!);
  const added = bias ? readTensorValues(bias) : new Float64Array(K);
  if (added.length !== K && added.length !== 1)
    throw nodeNotSupported(node, `adds ${added.length} values to ${K} scores`);
  const intercepts = Float64Array.from({ length: K }, (_, k) => added[added.length === 1 ? 0 : k]!);
  return { input: node.input[0]!, linear: { coefficients, intercepts }, hasTransform: false };
}
