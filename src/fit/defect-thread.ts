import { inThread } from '../shared/compute.js';
import { createRandom } from '../shared/kernels/random.js';
import type { SharedModel } from '../shared/onnx/session-cache.js';
import type { Size } from '../shared/patchcore/score-graph.js';
import { type ImageVectors, imageVectors } from './image-vectors.js';
import { syntheticDefect } from './synthetic-defects.js';

/** A defect to be made on a good image, and what fitting takes from it. H, W: model input. */
export interface DefectInput {
  /** (H, W, 3) */
  good: Uint8Array;
  /** (H, W, 3): what the defect is cut from */
  texture: Uint8Array;
  seed: number;
  input: Size;
  /** See `composePatchGraph`. */
  model: SharedModel;
}

export default inThread<DefectInput, ImageVectors>(
  async ({ good, texture, seed, input, model }) => {
    const { image } = syntheticDefect(good, texture, input.height, input.width, createRandom(seed));
    return imageVectors(image, input, model, []);
  },
  ({ raw }) => [raw.buffer],
);
