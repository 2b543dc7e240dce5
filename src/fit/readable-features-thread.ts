import { inThread } from '../shared/compute.js';
import { estimateDepth } from '../shared/depth.js';
import { type Appearance, readableFeatures } from '../shared/kernels/readable-features.js';

export interface ReadableFeaturesInput extends Omit<Appearance, 'depth'> {
  /** Of the image's patch distances. */
  meanPatchDistance: number;
  maxPatchDistance: number;
}

/** The readable features of one image (5), in the order of `featureNames`. */
export default inThread<ReadableFeaturesInput, Float64Array>(async (image) => {
  const depth = await estimateDepth(image.pixels, image.H, image.W);
  return readableFeatures({ ...image, depth });
});
