import type { PropagationRules } from '../../shared/onnx/gradient-rules/rule.js';
import type { FloatTensor } from '../../shared/onnx/run-graph.js';
import { axesOf, forEachTarget, type Question, seedFor } from '../question.js';
import { inputTimesGradient } from './input-x-gradient.js';
import {
  type IntegratedGradients,
  type IntegratedGradientsOptions,
  integratedGradients,
} from './integrated-gradients.js';
import { saliency } from './saliency.js';
import { type NoiseOptions, seededNoise, smoothGrad } from './smoothgrad.js';

// Attributions of N samples for T classes: T tensors of the input's shape; a saliency is (N, H, W).

export async function explainByGradient(question: Question, rules?: PropagationRules): Promise<FloatTensor[]> {
  const { differentiator, x } = question;
  return await forEachTarget(question, async (targets) => ({
    data: await differentiator.gradient(x.data, seedFor(question, targets), rules),
    dims: x.dims,
  }));
}

export async function explainBySaliency(question: Question): Promise<FloatTensor[]> {
  const axes = axesOf(question);
  const gradients = await explainByGradient(question);
  return gradients.map(({ data }) => ({ data: saliency(data, axes), dims: [axes.N, axes.H, axes.W] }));
}

export async function explainByProduct(question: Question): Promise<FloatTensor[]> {
  const { data, dims } = question.x;
  const gradients = await explainByGradient(question);
  return gradients.map((gradient) => ({ data: inputTimesGradient(data, gradient.data), dims }));
}

export async function explainByIntegral(
  question: Question,
  baseline: Float32Array,
  options: IntegratedGradientsOptions,
): Promise<IntegratedGradients[]> {
  const { differentiator, x } = question;
  return await forEachTarget(question, (targets, report) =>
    integratedGradients(differentiator, x.data, baseline, targets, options, report),
  );
}

export async function explainByNoise(question: Question, options: NoiseOptions): Promise<FloatTensor[]> {
  const { differentiator, x } = question;
  return await forEachTarget(question, async (targets, report) => {
    const noise = seededNoise(x.data, x.dims[0]!, options);
    const data = await smoothGrad(differentiator, x.data, noise, targets, (done) => report(done, options.samples));
    return { data, dims: x.dims };
  });
}
