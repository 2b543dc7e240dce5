import { inThread } from '../shared/compute.js';
import { decodeImage } from '../shared/image.js';
import { createRandom } from '../shared/kernels/random.js';
import type { SharedModel } from '../shared/onnx/session-cache.js';
import type { Size } from '../shared/patchcore/patch-vectors.js';
import { type ImageVectors, imageVectors } from './image-vectors.js';
import { syntheticDefect } from './synthetic-defects.js';

/** An image of a defect, given or to be made on a good image. H, W: model input. */
export type DefectImage =
  | { bytes: Uint8Array; maxImageBytes: number }
  | {
      /** (H, W, 3) */
      good: Uint8Array;
      /** (H, W, 3): what the defect is cut from */
      texture: Uint8Array;
      seed: number;
    };

export interface DefectInput {
  image: DefectImage;
  input: Size;
  /** See `composeProjectionGraph`. */
  model: SharedModel;
}

/** What fitting takes from it. */
export interface DefectVectors extends ImageVectors {
  /** (P, d) */
  projected: Float32Array;
}

export default inThread<DefectInput, DefectVectors>(
  async ({ image, input, model }) => imageVectors(await pixelsOf(image, input), input, model, ['projected']),
  ({ projected }) => [projected.buffer],
);

async function pixelsOf(image: DefectImage, input: Size): Promise<Uint8Array> {
  if ('bytes' in image) return (await decodeImage(image.bytes, input, image)).pixels;
  return syntheticDefect(image.good, image.texture, input.height, input.width, createRandom(image.seed)).image;
}
