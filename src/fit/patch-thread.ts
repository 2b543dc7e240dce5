import { Tensor } from 'onnxruntime-node';
import sharp from 'sharp';
import { inThread } from '../shared/compute.js';
import { decodeImage } from '../shared/image.js';
import { type SharedModel, sessionOf } from '../shared/onnx/session-cache.js';
import type { Size } from '../shared/patchcore/score-graph.js';

/** What fitting takes from one training image. P patches, C = 328. */
export interface PatchInput {
  bytes: Uint8Array;
  maxImageBytes: number;
  input: Size;
  /** See `composePatchGraph`. */
  model: SharedModel;
}

export interface PatchOutput {
  /** (P, C) */
  raw: Float32Array;
  /** (C) over the patches */
  sums: Float32Array;
  /** (C, C) over the patches */
  products: Float32Array;
  /** JPEG at model size */
  picture: Uint8Array;
}

/** Both networks are compared before one of them is used. */
const loadedModels = 2;
const pictureQuality = 90;

export default inThread<PatchInput, PatchOutput>(
  async ({ bytes, maxImageBytes, input, model }) => {
    const { height, width } = input;
    const { pixels } = await decodeImage(bytes, input, { maxImageBytes });
    const session = await sessionOf(model, loadedModels);
    const results = await session.run({ pixels: new Tensor('uint8', pixels, [height, width, 3]) });
    const floats = (name: string) => results[name]!.data as Float32Array;
    const picture = await sharp(pixels, { raw: { width, height, channels: 3 } })
      .jpeg({ quality: pictureQuality })
      .toBuffer();
    return { raw: floats('raw'), sums: floats('sums'), products: floats('products'), picture };
  },
  ({ raw, products }) => [raw.buffer, products.buffer],
);
