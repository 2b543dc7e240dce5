import { PatchlineError } from '../errors.js';
import { type FinalActivation, findFinalActivation } from './final-activation.js';
import { attributeTypes, type ModelProto, type NodeProto, type TensorProto } from './model.js';
import { readTensorValues } from './tensor-values.js';

// K classes, C channels of a map of h × w positions.

/** scores = weights · mean of each channel of `layer` + bias: what many image classifiers end in. */
export interface PooledLinearHead {
  /** (1, C, h, w): the tensor whose global average is taken. */
  layer: string;
  /** (1, K): the scores before the final activation. */
  logits: string;
  classes: number;
  channels: number;
  /** (K, C) */
  weights: Float64Array;
  /** (K) */
  bias: Float64Array;
  activation: FinalActivation['kind'];
  /** Where an AveragePool takes the average: it is the global one only if (h, w) is this. */
  mapSize?: { height: number; width: number };
}

/**
 * Recognises from its end a network whose scores are a linear function of a global average: GlobalAveragePool, ReduceMean over
 * both spatial axes or AveragePool, then Gemm or MatMul (+ Add), then perhaps Softmax, LogSoftmax or Sigmoid, with Flatten,
 * Reshape, Squeeze, Identity and Dropout anywhere between. Of one image these change no value, so that their shapes do not
 * matter: it holds for a batch of 1.
 *
 * @param output name of the class scores
 * @throws CLASSIFIER_NOT_SUPPORTED naming the first node that is none of these
 */
export function findPooledLinearHead(model: ModelProto, output: string): PooledLinearHead {
  const graph = indexGraph(model);
  const { kind: activation, logits, softmax } = findFinalActivation(model, output);
  if (softmax && ![1, -1].includes(softmax.axis)) throw refusal(softmax.node, `works along axis ${softmax.axis}`);
  const linear = readLinear(graph, skipReshapes(graph, logits));
  const pool = readPool(graph, skipReshapes(graph, linear.input));
  const { classes, channels, weights, bias } = linear;
  return { ...pool, logits, classes, channels, weights, bias, activation };
}

interface IndexedGraph {
  makers: Map<string, NodeProto>;
  constants: Map<string, TensorProto>;
}

function indexGraph({ graph }: ModelProto): IndexedGraph {
  const constants = new Map(graph.initializer.map((tensor) => [tensor.name!, tensor]));
  const makers = new Map(graph.node.flatMap((node) => node.output.map((name) => [name, node])));
  for (const node of graph.node) {
    const source = node.opType === 'Identity' ? constants.get(node.input[0]!) : constantOf(node);
    if (source) constants.set(node.output[0]!, source);
  }
  return { makers, constants };
}

function constantOf({ opType, attribute }: NodeProto): TensorProto | undefined {
  return opType === 'Constant' ? attribute.find(({ name }) => name === 'value')?.t : undefined;
}

const reshapes = new Set(['Flatten', 'Reshape', 'Squeeze', 'Identity', 'Dropout']);

function skipReshapes(graph: IndexedGraph, tensor: string): string {
  const node = graph.makers.get(tensor);
  return node && reshapes.has(node.opType) ? skipReshapes(graph, node.input[0]!) : tensor;
}

interface Linear {
  input: string;
  classes: number;
  channels: number;
  weights: Float64Array;
  bias: Float64Array;
}

function readLinear(graph: IndexedGraph, tensor: string): Linear {
  const node = graph.makers.get(tensor);
  if (node?.opType === 'Gemm') return readGemm(graph, node);
  if (node?.opType === 'MatMul') return readMatMul(graph, node);
  if (node?.opType === 'Add') {
    const [a, b] = node.input as [string, string];
    const [term, bias] = graph.constants.has(a) ? [b, a] : [a, b];
    const product = graph.makers.get(skipReshapes(graph, term));
    if (graph.constants.has(bias) && product?.opType === 'MatMul') return readMatMul(graph, product, bias);
  }
  throw refusal(node);
}

/** alpha · input · B + beta · C */
function readGemm(graph: IndexedGraph, node: NodeProto): Linear {
  if (numberOf(node, 'transA')) throw refusal(node, 'has transA set');
  const { dims, values } = readMatrix(graph, node);
  const [rows, columns] = dims;
  const transposed = numberOf(node, 'transB') === 1;
  const [classes, channels] = transposed ? [rows, columns] : [columns, rows];
  const alpha = floatOf(node, 'alpha');
  const weights = (transposed ? values : transpose(values, rows, columns)).map((value) => alpha * value);
  const beta = floatOf(node, 'beta');
  const bias = readBias(graph, node, node.input[2], classes).map((value) => beta * value);
  return { input: node.input[0]!, classes, channels, weights, bias };
}

function readMatMul(graph: IndexedGraph, node: NodeProto, bias?: string): Linear {
  const { dims, values } = readMatrix(graph, node);
  const [channels, classes] = dims;
  const weights = transpose(values, channels, classes);
  return { input: node.input[0]!, classes, channels, weights, bias: readBias(graph, node, bias, classes) };
}

function readMatrix({ constants }: IndexedGraph, node: NodeProto): { dims: [number, number]; values: Float64Array } {
  const tensor = constants.get(node.input[1]!);
  if (tensor?.dims.length !== 2) throw refusal(node, 'has no constant matrix as its second input');
  return { dims: tensor.dims as [number, number], values: readTensorValues(tensor) };
}

/** (K); one value stands for all classes, none for 0. */
function readBias({ constants }: IndexedGraph, node: NodeProto, name: string | undefined, K: number): Float64Array {
  if (!name) return new Float64Array(K);
  const tensor = constants.get(name);
  const values = tensor && readTensorValues(tensor);
  if (values?.length !== K && values?.length !== 1) throw refusal(node, `has no constant bias of ${K} values`);
  return Float64Array.from({ length: K }, (_, k) => values[values.length === 1 ? 0 : k]!);
}

function transpose(values: Float64Array, rows: number, columns: number): Float64Array {
  return Float64Array.from(values, (_, i) => values[(i % rows) * columns + Math.floor(i / rows)]!);
}

function readPool(graph: IndexedGraph, tensor: string): Pick<PooledLinearHead, 'layer' | 'mapSize'> {
  const node = graph.makers.get(tensor);
  const layer = node?.input[0];
  if (layer === undefined) throw refusal(node);
  if (node?.opType === 'GlobalAveragePool') return { layer };
  if (node?.opType === 'ReduceMean') {
    const axes = integersOf(node, 'axes') ?? readAxes(graph, node);
    const spatial = axes.map((axis) => (axis < 0 ? axis + 4 : axis)).sort();
    if (spatial.join() !== '2,3') throw refusal(node, `averages over the axes [${axes}] and not [2, 3]`);
    return { layer };
  }
  if (node?.opType === 'AveragePool') return { layer, mapSize: readMapSize(node) };
  throw refusal(node);
}

function readAxes({ constants }: IndexedGraph, { input }: NodeProto): number[] {
  const tensor = constants.get(input[1] ?? '');
  return tensor ? [...readTensorValues(tensor)] : [];
}

function readMapSize(node: NodeProto) {
  const autoPad = node.attribute.find(({ name }) => name === 'auto_pad')?.s;
  const isPadded = integersOf(node, 'pads')?.some((pad) => pad !== 0);
  const isAutoPadded = autoPad && !['NOTSET', 'VALID'].includes(new TextDecoder().decode(autoPad));
  const isDilated = integersOf(node, 'dilations')?.some((dilation) => dilation !== 1);
  const [height, width, ...others] = integersOf(node, 'kernel_shape') ?? [];
  if (isPadded || isAutoPadded || isDilated || height === undefined || width === undefined || others.length > 0) {
    throw refusal(node, 'averages over padded or dilated windows');
  }
  return { height, width };
}

const attributeOf = (node: NodeProto, name: string) => node.attribute.find((attribute) => attribute.name === name);
const numberOf = (node: NodeProto, name: string): number | undefined => attributeOf(node, name)?.i;
const floatOf = (node: NodeProto, name: string): number => attributeOf(node, name)?.f ?? 1;

function integersOf(node: NodeProto, name: string): number[] | undefined {
  const attribute = attributeOf(node, name);
  return attribute?.type === attributeTypes.ints ? attribute.ints : undefined;
}

function refusal(node: NodeProto | undefined, trait?: string): PatchlineError {
  const name = node?.name || node?.output[0];
  const place = node ? `the node ${name} (${node.opType})${trait ? `, which ${trait},` : ''}` : "the network's input";
  return new PatchlineError(
    'CLASSIFIER_NOT_SUPPORTED',
    `Expected class scores that are one linear layer on a global average pooling but ${place} stands in between: ` +
      'only such pooled and linear heads can be explained so far',
    { details: node && { node: name, op: node.opType } },
  );
}
