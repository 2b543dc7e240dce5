import { shareFloats } from '../shared/compute.js';
import { featureNames } from '../shared/kernels/readable-features.js';
import { featureChannels } from '../shared/networks.js';
import { patchDistanceOf } from '../shared/patchcore/image-score.js';
import type { DefectFeatures } from './defect-images.js';
import type { ImageFeatures } from './patch-features.js';

/** What classifier and risk model learn from: N good images, then those of defects, S in all. */
export interface DefectSamples {
  /** (S, 1280) in shared memory */
  embeddings: Float32Array;
  /** (S, 5) readable features, in the order of `featureNames` */
  features: Float64Array;
  /** (S) 0 for good, 1 for a defect */
  labels: Uint8Array;
  /** (S) equal for images that were made from one */
  groups: Int32Array;
}

export const validationFolds = 5;

/** @param distances (S, P) of each image to a bank that has not seen it */
export function defectSamples(good: ImageFeatures, defects: DefectFeatures, distances: Float32Array): DefectSamples {
  const appearances = [...good.appearances, ...defects.appearances];
  const images = good.appearances.length;
  const patches = distances.length / appearances.length;
  const embeddings = new Float32Array(appearances.length * featureChannels);
  const features = new Float64Array(appearances.length * featureNames.length);
  [...good.embeddings, ...defects.embeddings].forEach((embedding, index) => {
    embeddings.set(embedding, index * featureChannels);
  });
  appearances.forEach((appearance, index) => {
    const { mean, max } = patchDistanceOf(distances.subarray(index * patches, (index + 1) * patches));
    features.set([mean, max, ...appearance], index * featureNames.length);
  });
  return {
    embeddings: shareFloats(embeddings),
    features,
    labels: Uint8Array.from(appearances, (_, index) => (index < images ? 0 : 1)),
    groups: Int32Array.from(appearances, (_, index) => {
      const madeOn = index < images ? -1 : defects.madeOn[index - images]!;
      return madeOn < 0 ? index : madeOn;
    }),
  };
}
