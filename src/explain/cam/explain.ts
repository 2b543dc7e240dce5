import { PatchlineError } from '../../shared/errors.js';
import type { ModelProto } from '../../shared/onnx/model.js';
import { findPooledLinearHead, type PooledLinearHead } from '../../shared/onnx/pooled-linear-head.js';
import type { FloatTensor } from '../../shared/onnx/run-graph.js';
import { createDiagonalDerivatives } from '../diagonal-derivatives.js';
import { requireLayer } from '../layers.js';
import { axesOf, forEachTarget, type Question, sampleOf, seedFor, stack } from '../question.js';
import { createRowScorer } from '../rows.js';
import { classActivationMap } from './cam.js';
import { gradCamPlusPlusByDerivatives } from './grad-cam-plus-plus-variants.js';
import { maskedRows, type ScoreCamVariant, scoreCam, scoreCamMasks } from './score-cam.js';

// Maps of N samples for T classes: T tensors (N, h, w).

/** A map (h, w) from the activations and gradients (C, h, w) of a layer. */
export type MapOfLayer = (
  activations: Float32Array,
  gradients: Float32Array,
  C: number,
  h: number,
  w: number,
) => Float32Array;

/** By a formula on activations and gradients of the layer. */
export async function explainByLayer(question: Question, mapOf: MapOfLayer): Promise<FloatTensor[]> {
  const { differentiator, x } = question;
  const { name, dims } = requireLayer(differentiator.network, question.layer);
  const [N, C, h, w] = dims as [number, number, number, number];
  return await forEachTarget(question, async (targets) => {
    const { activations, gradients } = await differentiator.layerGradient(name, x.data, seedFor(question, targets));
    const maps = targets.map((_, n) => mapOf(sampleOf(activations.data, n, N), sampleOf(gradients, n, N), C, h, w));
    return stack(maps, [h, w]);
  });
}

/** Grad-CAM++ by differentiating again. */
export async function explainByDerivatives(question: Question): Promise<FloatTensor[]> {
  const { differentiator, x, run } = question;
  const { network } = differentiator;
  const { name, dims } = requireLayer(network, question.layer);
  const [N, C, h, w] = dims as [number, number, number, number];
  const derivativesOf = await createDiagonalDerivatives(network, name, run);
  return await forEachTarget(question, async (targets, report) => {
    const { activations, gradients } = await differentiator.layerGradient(name, x.data, seedFor(question, targets));
    const maps: Float32Array[] = [];
    for (const [n, target] of targets.entries()) {
      const A = sampleOf(activations.data, n, N);
      const inSample = (done: number, total: number) => report(n * total + done, N * total);
      const derivatives = await derivativesOf(A, sampleOf(x.data, n, N), target, inSample);
      maps.push(gradCamPlusPlusByDerivatives(A, sampleOf(gradients, n, N), derivatives, C, h, w).map);
    }
    return stack(maps, [h, w]);
  });
}

/** By the weights of the linear layer behind the global average pooling. */
export async function explainByHead(question: Question): Promise<FloatTensor[]> {
  const { differentiator, x, targets } = question;
  const { layer, channels, weights } = requireHead(question);
  const { data, dims } = await differentiator.activations(layer, x.data);
  const [N, C, h, w] = dims as [number, number, number, number];
  return targets.map((classes) => {
    const maps = classes.map((target, n) => {
      const row = weights.subarray(target * channels, (target + 1) * channels);
      return classActivationMap(sampleOf(data, n, N), row, C, h, w);
    });
    return stack(maps, [h, w]);
  });
}

/**
 * The pooled and linear head that class activation mapping is defined for.
 *
 * @throws CLASSIFIER_NOT_SUPPORTED where the network ends otherwise, ARGUMENT_INVALID where another layer is asked for
 */
export function requireHead({ differentiator, layer }: Question): PooledLinearHead {
  const { model, output, tensors } = differentiator.network;
  const head = readHead(model, output);
  const [, , h, w] = tensors.get(head.layer)!.dims;
  if (layer !== undefined && layer !== head.layer) {
    const message = `Expected ${head.layer}, the tensor that is pooled, for --layer of the method cam but received ${layer}`;
    throw new PatchlineError('ARGUMENT_INVALID', message);
  }
  if (head.mapSize && (head.mapSize.height !== h || head.mapSize.width !== w)) {
    throw new PatchlineError(
      'CLASSIFIER_NOT_SUPPORTED',
      `Expected an average over all ${h} x ${w} positions of ${head.layer} (height x width) for the method cam but the ` +
        `network averages over ${head.mapSize.height} x ${head.mapSize.width}`,
    );
  }
  return head;
}

function readHead(model: ModelProto, output: string): PooledLinearHead {
  try {
    return findPooledLinearHead(model, output);
  } catch (error) {
    if (!(error instanceof PatchlineError && error.code === 'CLASSIFIER_NOT_SUPPORTED')) throw error;
    const message = `the method cam: ${error.message}; grad-cam takes any network`;
    throw new PatchlineError(error.code, message, { details: error.details, cause: error });
  }
}

/** By the scores of the image under masks; all classes share the runs. */
export async function explainByMasks(question: Question, variant: ScoreCamVariant): Promise<FloatTensor[]> {
  const { differentiator, x, run, targets } = question;
  const { network } = differentiator;
  const axes = axesOf(question);
  const { data, dims } = await differentiator.activations(requireLayer(network, question.layer).name, x.data);
  const [N, C, h, w] = dims as [number, number, number, number];
  const activations = Array.from({ length: N }, (_, n) => sampleOf(data, n, N));
  const masks = activations.map((A) => scoreCamMasks(A, { C, h, w }, axes, variant));
  const scoreRows = createRowScorer(network, run);
  const scores = await scoreRows(maskedRows(x.data, axes, masks, C), question.report);
  const scoresOf = (n: number, target: number) =>
    Float32Array.from({ length: C }, (_, c) => scores[(n * C + c) * network.classes + target]!);
  return targets.map((classes) => {
    const maps = classes.map((target, n) => scoreCam(activations[n]!, scoresOf(n, target), { C, h, w }, axes, variant));
    return stack(maps, variant === 'logit-weights' ? [axes.H, axes.W] : [h, w]);
  });
}
