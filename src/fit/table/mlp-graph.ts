import { Tensor } from 'onnxruntime-node';
import { appendGradients } from '../../shared/onnx/gradient.js';
import { createGraphBuilder, type GraphBuilder } from '../../shared/onnx/graph-builder.js';
import type { ModelProto } from '../../shared/onnx/model.js';
import { traceTensors } from '../../shared/onnx/traced-tensors.js';
import { describeModel, inputName } from './model-description.js';
import type { Task, TrainingTable } from './training-table.js';

// N rows, B rows of a batch, D columns, K outputs: one value, or a score for each class.

/** Fully connected layers with ReLU between them. */
export interface MlpShape {
  D: number;
  /** Units of the hidden layers. */
  hidden: readonly number[];
  K: number;
  task: Task;
}

/** Of each layer its matrix (in, out), then its bias (out). */
export function weightDimsOf({ D, hidden, K }: MlpShape): number[][] {
  const sizes = [D, ...hidden, K];
  return sizes.slice(1).flatMap((size, layer) => [[sizes[layer]!, size], [size]]);
}

export const weightNamesOf = (shape: MlpShape): string[] => weightDimsOf(shape).map((_, index) => `w${index}`);
export const gradientNameOf = (weight: string): string => `d_${weight}`;

/** Rows (N, D) to outputs (N, K), before any Softmax. */
function addLayers(graph: GraphBuilder, rows: string, weights: readonly string[]): string {
  let values = rows;
  for (let index = 0; index < weights.length; index += 2) {
    values = graph.add('Gemm', [values, weights[index]!, weights[index + 1]!]);
    if (index + 2 < weights.length) values = graph.add('Relu', [values]);
  }
  return values;
}

/** From standardised rows `x` (N, D) and the weights to the outputs (N, K), of which those of classes are log-probabilities. */
export function composeOutputs(shape: MlpShape): ModelProto {
  const graph = createGraphBuilder();
  const x = graph.input('x', 'float32', ['N', shape.D]);
  graph.output('outputs', addActivated(graph, x, addWeightInputs(graph, shape), shape));
  return graph.build();
}

/**
 * From a batch `x` (B, D), its targets `y` (B, K), standardised values or one-hot classes, and the weights to the gradient of the
 * loss by each weight: mean squared error, or cross-entropy.
 */
export async function composeLossGradients(shape: MlpShape, B: number): Promise<ModelProto> {
  const { D, K } = shape;
  const forward = createGraphBuilder();
  const x = forward.input('x', 'float32', [B, D]);
  const y = forward.input('y', 'float32', [B, K]);
  const names = addWeightInputs(forward, shape);
  const outputs = addActivated(forward, x, names, shape);
  if (shape.task === 'regression') {
    const error = forward.add('Sub', [outputs, y]);
    forward.add('ReduceMean', [forward.add('Mul', [error, error])], { keepdims: 0 }, 'loss');
  } else {
    const mean = forward.add('ReduceMean', [forward.add('Mul', [outputs, y])], { keepdims: 0 });
    forward.add('Mul', [mean, forward.scalar(-K)], {}, 'loss');
  }
  forward.output('loss');
  const model = forward.build();
  const zeros = (dims: readonly number[]) => new Tensor('float32', new Float32Array(sizeOf(dims)), dims);
  const dims = weightDimsOf(shape);
  const feeds = { x: zeros([B, D]), y: zeros([B, K]) };
  for (const [index, name] of names.entries()) Object.assign(feeds, { [name]: zeros(dims[index]!) });
  const tensors = await traceTensors(model, feeds);
  const graph = createGraphBuilder({ base: model });
  const gradients = appendGradients(graph, model, tensors, { output: 'loss', seed: graph.scalar(1), targets: names });
  for (const [name, gradient] of gradients) graph.output(gradientNameOf(name), gradient);
  return graph.build();
}

export const sizeOf = (dims: readonly number[]): number => dims.reduce((product, size) => product * size, 1);

const addWeightInputs = (graph: GraphBuilder, shape: MlpShape): string[] =>
  weightDimsOf(shape).map((dims, index) => graph.input(`w${index}`, 'float32', dims));

function addActivated(graph: GraphBuilder, x: string, weights: readonly string[], { task }: MlpShape): string {
  const outputs = addLayers(graph, x, weights);
  return task === 'classification' ? graph.add('LogSoftmax', [outputs], { axis: -1 }) : outputs;
}

/** A trained perceptron, with what stands before and behind its layers. */
export interface Mlp {
  shape: MlpShape;
  weights: Float32Array<ArrayBuffer>[];
  /** (D): in place of missing values. */
  medians: Float64Array<ArrayBuffer>;
  /** (D) */
  means: Float64Array<ArrayBuffer>;
  /** (D), standard deviations. */
  scales: Float64Array<ArrayBuffer>;
  /** Mean and standard deviation of the target of a regression. */
  targetMean: number;
  targetScale: number;
}

/** The whole way from the columns as they stand in the table, missing values among them, to prediction or probabilities. */
export function composeMlp(
  { shape, weights, medians, means, scales, targetMean, targetScale }: Mlp,
  table: Pick<TrainingTable, 'columns' | 'target'>,
): ModelProto {
  const graph = createGraphBuilder();
  const floats = (values: ArrayLike<number>, name: string) =>
    graph.constant(Float32Array.from(values), [shape.D], name);
  const X = graph.input(inputName, 'float32', ['N', shape.D]);
  const whole = graph.add('Where', [graph.add('IsNaN', [X]), floats(medians, 'medians'), X]);
  const centred = graph.add('Sub', [whole, floats(means, 'means')]);
  const standardised = graph.add('Div', [centred, floats(scales, 'scales')]);
  const dims = weightDimsOf(shape);
  const names = weights.map((values, index) => graph.constant(values, dims[index]!, `w${index}`));
  const outputs = addLayers(graph, standardised, names);
  const activated =
    shape.task === 'classification'
      ? graph.add('Softmax', [outputs], { axis: -1 })
      : graph.add('Add', [graph.add('Mul', [outputs, graph.scalar(targetScale)]), graph.scalar(targetMean)]);
  describeModel(graph, activated, table);
  return graph.build();
}
