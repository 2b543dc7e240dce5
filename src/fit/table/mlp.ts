import { type InferenceSession, Tensor } from 'onnxruntime-node';
import { createRandom, type Random } from '../../shared/kernels/random.js';
import { writeModel } from '../../shared/onnx/model.js';
import { createSession } from '../../shared/onnx/session.js';
import { type Adam, createAdam } from './adam.js';
import { columnMedians, imputed } from './missing-values.js';
import {
  composeLossGradients,
  composeOutputs,
  gradientNameOf,
  type Mlp,
  type MlpShape,
  sizeOf,
  weightDimsOf,
  weightNamesOf,
} from './mlp-graph.js';

// n rows, B rows of a batch, D columns, K outputs.

export interface MlpTraining {
  /** (n, D), NaN where missing. */
  rows: Float64Array<ArrayBuffer>;
  /** (n): values, or classes from 0 to `classes` - 1. */
  targets: Float64Array<ArrayBuffer>;
  classes?: number;
  hidden: readonly number[];
  seed: number;
}

/** Rows that are not trained on but tell when to stop. */
const validationShare = 0.15;
/** Epochs without a better validation loss after which training ends. */
const patience = 30;
const mostEpochs = 1000;
const learningRate = 1e-3;
/** Small tables are overfitted with less. */
const weightDecay = 1;
/** Small tables need small batches, or an epoch is a step or two. */
const batchOf = (n: number): number => (n < 2000 ? Math.min(32, n) : 128);

/**
 * Trains by AdamW on the gradients of the loss, as graphs that onnxruntime runs with the weights as inputs. Ends where the loss of the
 * validation rows has not fallen for a while, and returns the weights of its lowest. The same seed gives the same weights.
 */
export async function trainMlp({ rows, targets, classes, hidden, seed }: MlpTraining): Promise<Mlp> {
  const n = targets.length;
  const D = rows.length / n;
  const random = createRandom(seed);
  const order = random.permutation(n);
  const held = Math.max(1, Math.round(n * validationShare));
  const medians = columnMedians(rows, D);
  const whole = imputed(rows, medians);
  const { means, scales } = momentsOf(whole, D);
  const shape: MlpShape =
    classes === undefined ? { D, hidden, K: 1, task: 'regression' } : { D, hidden, K: classes, task: 'classification' };
  const standardised = Float32Array.from(whole, (value, i) => (value - means[i % D]!) / scales[i % D]!);
  const [targetMean, targetScale] = classes === undefined ? momentsOfTargets(targets) : [0, 1];
  const wanted =
    classes === undefined
      ? Float32Array.from(targets, (value) => (value - targetMean) / targetScale)
      : oneHot(targets, classes);
  const take = (indices: Int32Array): Samples => ({
    x: takeRows(standardised, D, indices),
    y: takeRows(wanted, shape.K, indices),
    count: indices.length,
  });
  const weights = await descend(shape, take(order.subarray(held)), take(order.subarray(0, held)), random);
  return { shape, weights, medians, means, scales, targetMean, targetScale };
}

interface Samples {
  /** (count, D) */
  x: Float32Array;
  /** (count, K) */
  y: Float32Array;
  count: number;
}

async function descend(shape: MlpShape, training: Samples, validation: Samples, random: Random) {
  const B = batchOf(training.count);
  const weights = initialWeights(shape, random);
  const adam = createAdam(weights, { learningRate, weightDecay });
  const gradients = await createSession(writeModel(await composeLossGradients(shape, B)));
  const outputs = await createSession(writeModel(composeOutputs(shape)));
  let best = { loss: Number.POSITIVE_INFINITY, epoch: -1, weights };
  for (let epoch = 0; epoch < mostEpochs && epoch - best.epoch <= patience; epoch++) {
    const order = random.permutation(training.count);
    for (let from = 0; from + B <= training.count; from += B) {
      await takeStep(gradients, shape, training, order.subarray(from, from + B), adam);
    }
    const loss = await lossOf(outputs, shape, validation, adam.weights);
    if (loss < best.loss) best = { loss, epoch, weights: adam.weights.map((values) => values.slice()) };
  }
  await gradients.release();
  await outputs.release();
  return best.weights;
}

async function takeStep(
  session: InferenceSession,
  shape: MlpShape,
  { x, y }: Samples,
  batch: Int32Array,
  adam: Adam,
): Promise<void> {
  const { D, K } = shape;
  const results = await session.run({
    x: new Tensor('float32', takeRows(x, D, batch), [batch.length, D]),
    y: new Tensor('float32', takeRows(y, K, batch), [batch.length, K]),
    ...weightFeeds(shape, adam.weights),
  });
  adam.step(weightNamesOf(shape).map((name) => results[gradientNameOf(name)]!.data as Float32Array));
}

/** Mean squared error of standardised values, or mean cross-entropy. */
async function lossOf(session: InferenceSession, shape: MlpShape, { x, y, count }: Samples, weights: Float32Array[]) {
  const feeds = { x: new Tensor('float32', x, [count, shape.D]), ...weightFeeds(shape, weights) };
  const outputs = (await session.run(feeds)).outputs!.data as Float32Array;
  const isRegression = shape.task === 'regression';
  let sum = 0;
  for (let i = 0; i < y.length; i++) sum += isRegression ? (outputs[i]! - y[i]!) ** 2 : -outputs[i]! * y[i]!;
  return sum / count;
}

function weightFeeds(shape: MlpShape, weights: readonly Float32Array[]): Record<string, Tensor> {
  const dims = weightDimsOf(shape);
  const names = weightNamesOf(shape);
  return Object.fromEntries(names.map((name, index) => [name, new Tensor('float32', weights[index]!, dims[index]!)]));
}

/** Normal with variance 2 / inputs for layers before a ReLU (He et al. 2015, equation 10), 0 for biases. */
function initialWeights(shape: MlpShape, random: Random): Float32Array<ArrayBuffer>[] {
  return weightDimsOf(shape).map((dims) =>
    Float32Array.from({ length: sizeOf(dims) }, () =>
      dims.length === 1 ? 0 : random.normal() * Math.sqrt(2 / dims[0]!),
    ),
  );
}

/** Means and standard deviations of columns; 1 for one that does not vary. */
function momentsOf(rows: Float64Array, D: number) {
  const n = rows.length / D;
  const means = new Float64Array(D);
  const scales = new Float64Array(D);
  for (let i = 0; i < rows.length; i++) means[i % D]! += rows[i]! / n;
  for (let i = 0; i < rows.length; i++) scales[i % D]! += (rows[i]! - means[i % D]!) ** 2 / n;
  for (let j = 0; j < D; j++) scales[j] = scales[j]! > 1e-18 * means[j]! ** 2 ? Math.sqrt(scales[j]!) : 1;
  return { means, scales };
}

function momentsOfTargets(targets: Float64Array): [mean: number, scale: number] {
  const { means, scales } = momentsOf(targets, 1);
  return [means[0]!, scales[0]!];
}

function oneHot(targets: Float64Array, K: number): Float32Array {
  const rows = new Float32Array(targets.length * K);
  for (const [row, k] of targets.entries()) rows[row * K + k] = 1;
  return rows;
}

function takeRows(rows: Float32Array, width: number, indices: Int32Array): Float32Array {
  const taken = new Float32Array(indices.length * width);
  for (let k = 0; k < indices.length; k++) {
    taken.set(rows.subarray(indices[k]! * width, (indices[k]! + 1) * width), k * width);
  }
  return taken;
}
