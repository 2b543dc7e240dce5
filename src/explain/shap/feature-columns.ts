import { PatchlineError } from '../../shared/errors.js';
import type { ModelProto, NodeProto, TensorProto } from '../../shared/onnx/model.js';
import { readTensorValues } from '../../shared/onnx/tensor-values.js';
import { attributesOf, nodeNotSupported } from './node-attributes.js';
import type { TabularModel } from './tabular-model.js';

/** What works on each value alone. */
const elementwiseOps: readonly string[] =
  'Identity Cast Dropout Scaler Imputer Clip Abs Neg Exp Log Sqrt Sign Floor Ceil Round'.split(' ');
/** What does with a constant as the other operand. */
const binaryOps: readonly string[] = ['Add', 'Sub', 'Mul', 'Div'];

/**
 * The column of the data that each feature of a tensor (N, features) is made of. Features that are made of one column each
 * have the Shapley values of their columns, whatever is done to their values.
 *
 * @throws OP_NOT_SUPPORTED where a node mixes columns, or the tensor uses one twice
 */
export function featureColumns(model: TabularModel, tensor: string): Int32Array {
  const columns = trace(model, constantsOf(model.proto), tensor);
  const twice = columns.find((column, place) => columns.indexOf(column) !== place);
  if (twice === undefined) return Int32Array.from(columns);
  throw new PatchlineError(
    'OP_NOT_SUPPORTED',
    `Expected each column to be used once on the way to ${tensor} but column ${twice} is used twice: such a model can be ` +
      'explained by the methods exact and kernel only',
  );
}

function trace(model: TabularModel, constants: ReadonlyMap<string, TensorProto>, tensor: string): number[] {
  const input = model.inputs.find(({ name }) => name === tensor);
  if (input) return Array.from({ length: input.width }, (_, j) => input.offset + j);
  const node = model.makers.get(tensor);
  if (!node) throw new PatchlineError('MODEL_DAMAGED', `Expected a node or an input that makes the tensor ${tensor}`);
  const traced = (name: string) => trace(model, constants, name);
  if (elementwiseOps.includes(node.opType)) return traced(node.input[0]!);
  if (binaryOps.includes(node.opType)) return traceBinary(node, constants, traced);
  if (node.opType === 'Concat' || node.opType === 'FeatureVectorizer') {
    const axis = attributesOf(node).integer('axis', 1);
    if (axis === 1 || axis === -1) return node.input.flatMap(traced);
  }
  if (
    node.opType === 'ArrayFeatureExtractor' ||
    (node.opType === 'Gather' && attributesOf(node).integer('axis', 0) === 1)
  ) {
    const chosen = constants.get(node.input[1]!);
    if (chosen) {
      const columns = traced(node.input[0]!);
      return Array.from(readTensorValues(chosen), (place) => columns.at(place)!);
    }
  }
  throw nodeNotSupported(node, 'makes features of several columns; the methods exact and kernel explain any model');
}

/** One operand varies; the constant one must not add features. */
function traceBinary(
  node: NodeProto,
  constants: ReadonlyMap<string, TensorProto>,
  traced: (name: string) => number[],
): number[] {
  const [first, second] = node.input as [string, string];
  const [varying, constant] = constants.has(first) ? [second, constants.get(first)] : [first, constants.get(second)];
  const columns = constant ? traced(varying) : [];
  const size = constant?.dims.reduce((product, length) => product * length, 1);
  if (size === 1 || (size === columns.length && constant?.dims.at(-1) === size)) return columns;
  throw nodeNotSupported(node, 'makes features of several columns; the methods exact and kernel explain any model');
}

/** Initializers, and the values of Constant nodes. */
export function constantsOf({ graph }: ModelProto): Map<string, TensorProto> {
  const constants = new Map(graph.initializer.map((tensor) => [tensor.name!, tensor]));
  for (const node of graph.node) {
    const value = node.opType === 'Constant' ? node.attribute.find(({ name }) => name === 'value')?.t : undefined;
    const passed = node.opType === 'Identity' ? constants.get(node.input[0]!) : undefined;
    const tensor = value ?? passed;
    if (tensor) constants.set(node.output[0]!, tensor);
  }
  return constants;
}
