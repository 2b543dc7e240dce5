import { Tensor } from 'onnxruntime-node';
import { estimateDepth } from '../shared/depth.js';
import { appearanceFeatures } from '../shared/kernels/readable-features.js';
import { type SharedModel, sessionOf } from '../shared/onnx/session-cache.js';
import type { Size } from '../shared/patchcore/patch-vectors.js';

/** What is learned from any image, good or with a defect. */
export interface ImageVectors {
  /** (1280) */
  embedding: Float32Array;
  /** (3) depth variance, edge density and texture regularity */
  appearance: Float64Array;
}

/** Both networks are compared before one of them is used. */
const loadedModels = 2;

/** Results of a model that takes pixels (H, W, 3), in a thread. */
export async function runOnPixels<Output extends string>(
  pixels: Uint8Array,
  { height, width }: Size,
  model: SharedModel,
  outputs: readonly Output[],
): Promise<Record<Output, Float32Array>> {
  const session = await sessionOf(model, loadedModels);
  const results = await session.run({ pixels: new Tensor('uint8', pixels, [height, width, 3]) }, outputs);
  return Object.fromEntries(outputs.map((name) => [name, results[name]!.data])) as Record<Output, Float32Array>;
}

/**
 * Runs the network and looks at the pixels, in a thread.
 *
 * @param pixels (H, W, 3)
 * @param model with an output `embedding` @param outputs more of its results that are wanted
 */
export async function imageVectors<Output extends string>(
  pixels: Uint8Array,
  { height, width }: Size,
  model: SharedModel,
  outputs: readonly Output[],
): Promise<ImageVectors & Record<Output, Float32Array>> {
  const results = await runOnPixels(pixels, { height, width }, model, ['embedding', ...outputs]);
  const depth = await estimateDepth(pixels, height, width);
  return { ...results, appearance: appearanceFeatures({ depth, pixels, H: height, W: width }) };
}
