import { Tensor } from 'onnxruntime-node';
import sharp from 'sharp';
import { inThread } from '../shared/compute.js';
import { estimateDepth } from '../shared/depth.js';
import { decodeImage } from '../shared/image.js';
import { createRandom } from '../shared/kernels/random.js';
import { appearanceFeatures } from '../shared/kernels/readable-features.js';
import { type SharedModel, sessionOf } from '../shared/onnx/session-cache.js';
import type { Size } from '../shared/patchcore/score-graph.js';
import { syntheticDefect } from './synthetic-defects.js';

/** What fitting takes from one image. H, W: model input; P patches; C = 328. */
export interface PatchInput {
  image: EncodedImage | DefectRecipe;
  input: Size;
  /** See `composePatchGraph`. */
  model: SharedModel;
}

export interface EncodedImage {
  bytes: Uint8Array;
  maxImageBytes: number;
}

/** A defect to be made on a good image. */
export interface DefectRecipe {
  /** (H, W, 3) */
  good: Uint8Array;
  /** (H, W, 3): what the defect is cut from */
  texture: Uint8Array;
  seed: number;
}

export interface PatchOutput {
  /** (H, W, 3) */
  pixels: Uint8Array;
  /** (P, C) */
  raw: Float32Array;
  /** (C) over the patches */
  sums: Float32Array;
  /** (C, C) over the patches */
  products: Float32Array;
  /** (1280) */
  embedding: Float32Array;
  /** (3) depth variance, edge density and texture regularity */
  appearance: Float64Array;
  /** JPEG at model size */
  picture: Uint8Array;
}

/** Both networks are compared before one of them is used. */
const loadedModels = 2;
const pictureQuality = 90;

export default inThread<PatchInput, PatchOutput>(
  async ({ image, input, model }) => {
    const { height, width } = input;
    const pixels = await pixelsOf(image, input);
    const session = await sessionOf(model, loadedModels);
    const results = await session.run({ pixels: new Tensor('uint8', pixels, [height, width, 3]) });
    const floats = (name: string) => results[name]!.data as Float32Array;
    const depth = await estimateDepth(pixels, height, width);
    const picture = await sharp(pixels, { raw: { width, height, channels: 3 } })
      .jpeg({ quality: pictureQuality })
      .toBuffer();
    return {
      pixels,
      raw: floats('raw'),
      sums: floats('sums'),
      products: floats('products'),
      embedding: floats('embedding'),
      appearance: appearanceFeatures({ depth, pixels, H: height, W: width }),
      picture,
    };
  },
  ({ raw, products }) => [raw.buffer, products.buffer],
);

async function pixelsOf(image: EncodedImage | DefectRecipe, input: Size): Promise<Uint8Array> {
  if ('bytes' in image) return (await decodeImage(image.bytes, input, image)).pixels;
  return syntheticDefect(image.good, image.texture, input.height, input.width, createRandom(image.seed)).image;
}
