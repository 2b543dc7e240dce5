import { edgeDensity } from './canny.js';
import { toGrey } from './grey.js';
import { lowFrequencyRatio } from './low-frequency-ratio.js';
import { variance } from './quantile.js';
import { expectShape } from './shape.js';

/** The features that a risk is explained by, in the order in which they stand in every row. */
export const featureNames = [
  'mean_patch_distance',
  'max_patch_distance',
  'depth_variance',
  'edge_density',
  'texture_regularity',
] as const;

export type FeatureName = (typeof featureNames)[number];

/** What an image shows by itself, without a memory bank. */
export interface Appearance {
  /** Metres, of any size; its population variance is taken as it stands. */
  depth: Float32Array;
  /** RGB (H, W, 3), as the network saw it. */
  pixels: Uint8Array;
  H: number;
  W: number;
}

export interface FeatureSources extends Appearance {
  /** Of the image's patch distances. */
  meanPatchDistance: number;
  maxPatchDistance: number;
}

/**
 * One row of features, in the order of `featureNames`.
 *
 * @returns (5)
 * @throws SHAPE_MISMATCH
 */
export function readableFeatures(sources: FeatureSources): Float64Array<ArrayBuffer> {
  return Float64Array.of(sources.meanPatchDistance, sources.maxPatchDistance, ...appearanceFeatures(sources));
}

/**
 * The last three of `featureNames`.
 *
 * @returns (3)
 * @throws SHAPE_MISMATCH
 */
export function appearanceFeatures({ depth, pixels, H, W }: Appearance): Float64Array<ArrayBuffer> {
  expectShape('pixels', pixels, { H, W, channels: 3 });
  const grey = toGrey(pixels);
  return Float64Array.of(variance(depth), edgeDensity(grey, H, W), lowFrequencyRatio(grey, H, W));
}
