import { createRandom } from '../shared/kernels/random.js';
import { packModel } from '../shared/onnx/packed-model.js';
import type { FloatTensor } from '../shared/onnx/run-graph.js';
import { requireHead } from './cam/explain.js';
import { type IntegratedGradients, sumOfSample } from './gradient/integrated-gradients.js';
import { type NoiseOptions, seededNoise } from './gradient/smoothgrad.js';
import { cutHead } from './head.js';
import { requireLayer } from './layers.js';
import type { LocalModel } from './lime/local-model.js';
import { probabilitiesBy } from './probabilities.js';
import { type Question, sampleOf, seedFor } from './question.js';
import type { DeepExplanation } from './shap/explain.js';

/** One thing that a method promises, as it turned out for one sample and class: `received` ought to be `expected`. */
export interface Check {
  promise: string;
  sample: number;
  class: number;
  expected: number;
  received: number;
}

/** Class scores (N, K) at values that a gradient was taken by. */
type ScoresAt = (values: Float32Array) => Promise<Float32Array>;

/** The gradient by the input against finite differences of the scores. */
export async function checkGradient(question: Question): Promise<Check[]> {
  const { differentiator, x } = question;
  return await forEachClass(question, async (classes) => {
    const gradient = await differentiator.gradient(x.data, seedFor(question, classes));
    return await compareWithDifferences(classes, 'gradient', x.data, gradient, differentiator.scores);
  });
}

/** A mean gradient against finite differences of the mean score of the same noisy images. */
export async function checkSmoothGrad(
  question: Question,
  maps: readonly FloatTensor[],
  options: NoiseOptions,
): Promise<Check[]> {
  const { differentiator, x } = question;
  const meanScores: ScoresAt = async (values) => {
    const mean = new Float32Array(x.dims[0]! * differentiator.network.classes);
    for (const noise of seededNoise(x.data, x.dims[0]!, options)) {
      const scores = await differentiator.scores(values.map((value, i) => value + noise[i]!));
      for (let i = 0; i < mean.length; i++) mean[i]! += scores[i]! / options.samples;
    }
    return mean;
  };
  return await forEachClass(question, (classes, t) =>
    compareWithDifferences(classes, 'mean gradient', x.data, maps[t]!.data, meanScores),
  );
}

/** The gradient by the layer that maps are made of against finite differences of what follows the layer. */
export async function checkLayerGradient(question: Question): Promise<Check[]> {
  const { differentiator, x, run } = question;
  const { network } = differentiator;
  const { name, dims } = requireLayer(network, question.layer);
  const head = cutHead(network, name);
  const graph = packModel(head.model);
  const scoresAt: ScoresAt = async (data) => {
    const results = await run(graph, head.feeds({ data, dims }, x));
    return results[network.output]!.data;
  };
  return await forEachClass(question, async (classes) => {
    const { activations, gradients } = await differentiator.layerGradient(name, x.data, seedFor(question, classes));
    return await compareWithDifferences(classes, `gradient by ${name}`, activations.data, gradients, scoresAt);
  });
}

/** Integrated gradients: completeness. */
export async function checkCompleteness(question: Question, results: readonly IntegratedGradients[]): Promise<Check[]> {
  return await forEachClass(question, async (classes, t) => {
    const { differences, completenessGaps } = results[t]!;
    return classes.map((target, sample) => ({
      promise: 'sum of the attributions = score of the input - score of the baseline',
      sample,
      class: target,
      expected: differences[sample]!,
      received: differences[sample]! + completenessGaps[sample]!,
    }));
  });
}

/** Deep SHAP: additivity. */
export async function checkAdditivity(question: Question, results: readonly DeepExplanation[]): Promise<Check[]> {
  const { differentiator, x } = question;
  const scores = await differentiator.scores(x.data);
  return await forEachClass(question, async (classes, t) =>
    classes.map((target, sample) => {
      const { map, expected } = results[t]!;
      return {
        promise: 'mean score of the background + sum of the attributions = score',
        sample,
        class: target,
        expected: scores[sample * differentiator.network.classes + target]!,
        received: expected[sample]! + sumOfSample(map.data, sample, classes.length),
      };
    }),
  );
}

/** Input × gradient: what its sum is on networks that are piecewise linear and have no biases. */
export async function checkSum(question: Question, maps: readonly FloatTensor[]): Promise<Check[]> {
  const { differentiator, x } = question;
  const scores = await differentiator.scores(x.data);
  return await forEachClass(question, async (classes, t) =>
    classes.map((target, sample) => ({
      promise: 'sum of the attributions = score, where the network is piecewise linear and has no biases',
      sample,
      class: target,
      expected: scores[sample * differentiator.network.classes + target]!,
      received: sumOfSample(maps[t]!.data, sample, classes.length),
    })),
  );
}

/** Class activation mapping: its mean is the score but for the bias. */
export async function checkMeanOfMap(question: Question, maps: readonly FloatTensor[]): Promise<Check[]> {
  const { differentiator, x } = question;
  const { bias, logits, classes: K } = requireHead(question);
  const { data } = await differentiator.activations(logits, x.data);
  return await forEachClass(question, async (classes, t) =>
    classes.map((target, sample) => {
      const map = sampleOf(maps[t]!.data, sample, classes.length);
      return {
        promise: 'mean of the map + bias of the class = score',
        sample,
        class: target,
        expected: data[sample * K + target]!,
        received: sumOfSample(map, 0, 1) / map.length + bias[target]!,
      };
    }),
  );
}

/** LIME: its linear model at the image itself. */
export async function checkLocalModels(question: Question, models: readonly LocalModel[][]): Promise<Check[]> {
  const { differentiator, x } = question;
  const { network } = differentiator;
  const probabilities = probabilitiesBy(network)(await differentiator.scores(x.data));
  return await forEachClass(question, async (classes, t) =>
    classes.map((target, sample) => ({
      promise: 'probability by the local model with every segment shown = probability of the class',
      sample,
      class: target,
      expected: probabilities[sample * network.classes + target]!,
      received: models[t]![sample]!.prediction,
    })),
  );
}

async function forEachClass(
  { targets }: Question,
  check: (classes: readonly number[], t: number) => Promise<Check[]>,
): Promise<Check[]> {
  const checks: Check[] = [];
  for (const [t, classes] of targets.entries()) checks.push(...(await check(classes, t)));
  return checks;
}

/** As parts of the length of the values: long steps cross kinks, short ones drown in rounding. The closest difference counts. */
const stepLengths = [1e-2, 1e-3, 1e-4, 1e-5];

/** Central differences along the gradient itself and along a random direction. */
async function compareWithDifferences(
  classes: readonly number[],
  what: string,
  values: Float32Array,
  gradient: Float32Array,
  scoresAt: ScoresAt,
): Promise<Check[]> {
  const N = classes.length;
  const random = createRandom(0);
  const directions = {
    itself: unitRows(gradient, N),
    'a random direction': unitRows(
      Float32Array.from(values, () => random.normal()),
      N,
    ),
  };
  const checks: Check[] = [];
  for (const [along, direction] of Object.entries(directions)) {
    const slopes = classes.map((_, n) => dot(sampleOf(gradient, n, N), sampleOf(direction, n, N)));
    const closest = new Array<number>(N).fill(Number.POSITIVE_INFINITY);
    for (const step of stepLengths) {
      const differences = await centralDifferences(classes, values, direction, step, scoresAt);
      for (const [n, difference] of differences.entries()) {
        if (Math.abs(difference - slopes[n]!) < Math.abs(closest[n]! - slopes[n]!)) closest[n] = difference;
      }
    }
    for (const [sample, target] of classes.entries()) {
      const promise = `${what} along ${along} = finite difference of the score`;
      checks.push({ promise, sample, class: target, expected: closest[sample]!, received: slopes[sample]! });
    }
  }
  return checks;
}

/** For each sample, ΔS / Δ along its direction, of length 1. */
async function centralDifferences(
  classes: readonly number[],
  values: Float32Array,
  direction: Float32Array,
  step: number,
  scoresAt: ScoresAt,
): Promise<number[]> {
  const N = classes.length;
  const size = values.length / N;
  const steps = classes.map((_, n) => step * (length(sampleOf(values, n, N)) || 1));
  const moved = (sign: number) => values.map((value, i) => value + sign * steps[Math.floor(i / size)]! * direction[i]!);
  const [above, below] = [await scoresAt(moved(1)), await scoresAt(moved(-1))];
  const K = above.length / N;
  return classes.map((target, n) => (above[n * K + target]! - below[n * K + target]!) / (2 * steps[n]!));
}

/** Each sample's values divided by their length; zeros stay. */
function unitRows(values: Float32Array, N: number): Float32Array {
  const size = values.length / N;
  const lengths = Array.from({ length: N }, (_, n) => length(sampleOf(values, n, N)) || 1);
  return values.map((value, i) => value / lengths[Math.floor(i / size)]!);
}

function dot(a: Float32Array, b: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}

const length = (values: Float32Array): number => Math.sqrt(dot(values, values));
