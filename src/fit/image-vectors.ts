import { Tensor } from 'onnxruntime-node';
import { estimateDepth } from '../shared/depth.js';
import { appearanceFeatures } from '../shared/kernels/readable-features.js';
import { type SharedModel, sessionOf } from '../shared/onnx/session-cache.js';
import type { Size } from '../shared/patchcore/score-graph.js';

/** What is learned from any image, good or with a defect. P patches, C = 328. */
export interface ImageVectors {
  /** (P, C) */
  raw: Float32Array;
  /** (1280) */
  embedding: Float32Array;
  /** (3) depth variance, edge density and texture regularity */
  appearance: Float64Array;
}

/** Both networks are compared before one of them is used. */
const loadedModels = 2;

/**
 * Runs the network and looks at the pixels, in a thread.
 *
 * @param pixels (H, W, 3)
 * @param model see `composePatchGraph` @param outputs more of its results that are wanted
 */
export async function imageVectors<Output extends string>(
  pixels: Uint8Array,
  { height, width }: Size,
  model: SharedModel,
  outputs: readonly Output[],
): Promise<ImageVectors & Record<Output, Float32Array>> {
  const session = await sessionOf(model, loadedModels);
  const tensor = new Tensor('uint8', pixels, [height, width, 3]);
  const results = await session.run({ pixels: tensor }, ['raw', 'embedding', ...outputs]);
  const floats = Object.entries(results).map(([name, { data }]) => [name, data]);
  const depth = await estimateDepth(pixels, height, width);
  const appearance = appearanceFeatures({ depth, pixels, H: height, W: width });
  return { ...Object.fromEntries(floats), appearance };
}
