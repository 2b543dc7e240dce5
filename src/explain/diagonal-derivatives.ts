import { Tensor } from 'onnxruntime-node';
import { PatchlineError } from '../shared/errors.js';
import { appendGradients } from '../shared/onnx/gradient.js';
import { createGraphBuilder, type GraphBuilder } from '../shared/onnx/graph-builder.js';
import type { ModelProto } from '../shared/onnx/model.js';
import { type PackedModel, packModel } from '../shared/onnx/packed-model.js';
import type { FloatTensors, RunGraph } from '../shared/onnx/run-graph.js';
import { traceTensors } from '../shared/onnx/traced-tensors.js';
import { seedOf } from './differentiator.js';
import { addFloatInput } from './graph-ports.js';
import { cutHead, type Head } from './head.js';
import type { Network } from './network.js';

// P values of a layer (C, h, w) of one sample; M rows of a batch, each with a direction of its own; K classes.

/** d²S / da² and d³S / da³ by each value a of a layer. */
export interface DiagonalDerivatives {
  /** (P) */
  second: Float64Array<ArrayBuffer>;
  /** (P) */
  third: Float64Array<ArrayBuffer>;
}

/** Of one sample and class; `report` is told how many values are done. */
export type DiagonalDerivativesOf = (
  activations: Float32Array,
  x: Float32Array,
  target: number,
  report?: (done: number, total: number) => void,
) => Promise<DiagonalDerivatives>;

/**
 * Second and third derivatives of a class score S by every single value of a layer A, exact: the diagonals, not the row sums that
 * come of differentiating a whole gradient again. The gradient g is differentiated in the direction e of one value,
 * h = ∂(g · e) / ∂A, and that once more, t = ∂(h · e) / ∂A; then d²S / da² = h · e and d³S / da³ = t · e. Every row of a batch has
 * the direction of another value. Where all that follows the layer is piecewise linear, no path leads from A to g: both are 0 and
 * nothing is run. (Griewank and Walther, Evaluating Derivatives, 2nd ed., section 13.)
 *
 * @throws OP_NOT_SUPPORTED where an operator of the gradient cannot be differentiated again
 */
export async function createDiagonalDerivatives(
  network: Network,
  layer: string,
  run: RunGraph,
): Promise<DiagonalDerivativesOf> {
  const head = cutHead(network, layer);
  const [, C, h, w] = network.tensors.get(layer)!.dims as [number, number, number, number];
  const P = C * h * w;
  const [, ...sampleDims] = network.inputDims;
  const feedsOf = (
    rows: number,
    activations: Float32Array = new Float32Array(P),
    x: Float32Array = new Float32Array(sizeOf(sampleDims)),
  ) =>
    head.feeds(
      { data: repeat(activations, rows), dims: [rows, C, h, w] },
      { data: repeat(x, rows), dims: [rows, ...sampleDims] },
    );
  const M = (await takesRows(rowsFor(P), head, network, feedsOf(rowsFor(P)))) ? rowsFor(P) : network.samples;
  const graph = await composeDerivatives(network, layer, head, feedsOf(M), M);

  return async (activations, x, target, report) => {
    const [second, third] = [new Float64Array(P), new Float64Array(P)];
    if (!graph) return { second, third };
    const seed = seedOf(new Array<number>(M).fill(target), network.classes);
    const feeds = { ...feedsOf(M, activations, x), [seedName]: { data: seed, dims: [M, network.classes] } };
    for (let first = 0; first < P; first += M) {
      const count = Math.min(M, P - first);
      const data = new Float32Array(M * P);
      for (let row = 0; row < count; row++) data[row * P + first + row] = 1;
      const results = await run(graph, { ...feeds, [directionName]: { data, dims: [M, C, h, w] } });
      second.set(results[secondName]!.data.subarray(0, count), first);
      third.set(results[thirdName]?.data.subarray(0, count) ?? [], first);
      report?.(first + count, P);
    }
    return { second, third };
  };
}

const seedName = 'patchline.seed';
const directionName = 'patchline.direction';
const [gradientName, alongName] = ['patchline.gradient', 'patchline.along'];
const [secondName, thirdName] = ['patchline.second', 'patchline.third'];

/** As many rows as 16 MB hold, because some tensors of that size live at a time. */
const rowsFor = (P: number): number => Math.max(1, Math.min(64, Math.floor(2 ** 22 / P)));

/** Whether the head takes batches of another size than the network's: a model may have its own written into a Reshape. */
async function takesRows(rows: number, { model }: Head, { output, classes }: Network, feeds: FloatTensors) {
  try {
    const [count, width] = (await traceTensors(model, tensorsOf(feeds))).get(output)!.dims;
    return count === rows && width === classes;
  } catch (error) {
    if (error instanceof PatchlineError && error.code === 'MODEL_INPUT_MISMATCH') return false;
    throw error;
  }
}

/** Undefined where the second derivative, and so the third, is 0 everywhere. */
async function composeDerivatives(
  { output, classes, tensors }: Network,
  layer: string,
  head: Head,
  layerFeeds: FloatTensors,
  M: number,
): Promise<PackedModel | undefined> {
  const dims = layerFeeds[layer]!.dims;
  const all: FloatTensors = {
    ...layerFeeds,
    [seedName]: { data: new Float32Array(M * classes), dims: [M, classes] },
    [directionName]: { data: new Float32Array(sizeOf(dims)), dims },
  };
  /** Appends the gradient of Σ seed · tensor by the layer; undefined where it is 0. */
  const derive = async (graph: GraphBuilder, model: ModelProto, tensor: string, seed: string) => {
    const feeds = Object.fromEntries(model.graph.input.map(({ name }) => [name, all[name]!]));
    const traced = await traceTensors(model, tensorsOf(feeds));
    try {
      return appendGradients(graph, model, traced, { output: tensor, seed, targets: [layer] }).get(layer)!;
    } catch (error) {
      if (error instanceof PatchlineError && error.code === 'GRADIENT_UNREACHABLE') return undefined;
      throw error;
    }
  };

  const first = createGraphBuilder({ base: head.model });
  const seed = addFloatInput(first, seedName, tensors.get(output)!.type, [M, classes]);
  const g = await derive(first, head.model, output, seed);
  if (g === undefined) return undefined;
  first.output(gradientName, g);

  const gradient = first.build();
  const second = createGraphBuilder({ base: gradient });
  const h = await derive(second, gradient, gradientName, second.input(directionName, 'float32', dims));
  if (h === undefined) return undefined;
  second.output(alongName, h);

  const along = second.build();
  const third = createGraphBuilder({ base: along });
  const t = await derive(third, along, alongName, directionName);
  addRowProducts(third, secondName, alongName, sizeOf(dims) / M);
  if (t !== undefined) addRowProducts(third, thirdName, t, sizeOf(dims) / M);
  return packModel(third.build());
}

/** The result `name`: the dot product of each row of `tensor`, of P values, with its direction, (M, 1). */
function addRowProducts(graph: GraphBuilder, name: string, tensor: string, P: number): void {
  const products = graph.add('Flatten', [graph.add('Mul', [tensor, directionName])]);
  graph.output(name, graph.add('MatMul', [products, graph.constant(new Float32Array(P).fill(1), [P, 1])]));
}

const sizeOf = (dims: readonly number[]): number => dims.reduce((product, size) => product * size, 1);

const tensorsOf = (feeds: FloatTensors): Record<string, Tensor> =>
  Object.fromEntries(Object.entries(feeds).map(([name, { data, dims }]) => [name, new Tensor('float32', data, dims)]));

function repeat(values: Float32Array, times: number): Float32Array {
  const repeated = new Float32Array(values.length * times);
  for (let row = 0; row < times; row++) repeated.set(values, row * values.length);
  return repeated;
}
