import sharp from 'sharp';
import { inThread } from '../shared/compute.js';
import { decodeInput, type ModelInput } from '../shared/model-input.js';
import type { SharedModel } from '../shared/onnx/session-cache.js';
import { type ImageVectors, imageVectors } from './image-vectors.js';

/** What the projections are learned from, of one image. P patches, C channels of a raw patch vector. */
export interface PatchInput {
  bytes: Uint8Array;
  maxImageBytes: number;
  input: ModelInput;
  /** See `composePatchGraph`. */
  model: SharedModel;
}

export interface PatchOutput extends ImageVectors {
  /** (H, W, 3) */
  pixels: Uint8Array;
  /** (C) over the patches */
  sums: Float32Array;
  /** (C, C) over the patches */
  products: Float32Array;
  /** JPEG at model size */
  picture: Uint8Array;
}

const pictureQuality = 90;

export default inThread<PatchInput, PatchOutput>(
  async ({ bytes, maxImageBytes, input, model }) => {
    const { height, width } = input;
    const { pixels } = await decodeInput(bytes, input, { maxImageBytes });
    const vectors = await imageVectors(pixels, input, model, ['sums', 'products']);
    const picture = await sharp(pixels, { raw: { width, height, channels: 3 } })
      .jpeg({ quality: pictureQuality })
      .toBuffer();
    return { ...vectors, pixels, picture };
  },
  ({ products }) => [products.buffer],
);
