import { inThread } from '../shared/compute.js';
import { estimateDepth } from '../shared/depth.js';
import { readableFeatures } from '../shared/kernels/readable-features.js';
import { expectArray } from '../shared/npy.js';
import { readNpz } from '../shared/npz.js';

export interface FeaturesInput {
  /** The work object, .npz. */
  work: Uint8Array;
  patchDistance: { mean: number; max: number };
}

/** (5), in the order of `featureNames`. */
export type FeaturesOutput = Float64Array;

export default inThread<FeaturesInput, FeaturesOutput>(async ({ work, patchDistance }) => {
  const input = expectArray(readNpz(work).input, 'input', 'uint8', [null, null, 3]);
  const [H, W] = input.shape as [number, number, number];
  const pixels = input.data;
  const depth = await estimateDepth(pixels, H, W);
  const { mean, max } = patchDistance;
  return readableFeatures({ meanPatchDistance: mean, maxPatchDistance: max, depth, pixels, H, W });
});
