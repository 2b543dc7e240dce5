import { pooledLinearGradCamPlusPlus } from '../explain/cam/grad-cam-plus-plus.js';
import { inThread } from '../shared/compute.js';
import { expectArray, writeNpy } from '../shared/npy.js';
import { readNpz } from '../shared/npz.js';

export interface GradcamInput {
  /** The work object, .npz. */
  work: Uint8Array;
  classifier: { weights: Float32Array; bias: number };
}

export interface GradcamOutput {
  /** .npy, float32 (h, w), signed */
  map: Uint8Array;
  /** Of a defect. */
  probability: number;
}

/** The score is linear in the mean of each feature channel, so that its gradient is known without a backward pass. */
export default inThread<GradcamInput, GradcamOutput>(async ({ work, classifier }) => {
  const features = expectArray(readNpz(work).features, 'features', 'float32', [classifier.weights.length, null, null]);
  const [C, h, w] = features.shape as [number, number, number];
  const { map } = pooledLinearGradCamPlusPlus(features.data, classifier.weights, C, h, w);
  let logOdds = classifier.bias;
  for (let i = 0; i < features.data.length; i++) {
    logOdds += (classifier.weights[Math.floor(i / (h * w))]! * features.data[i]!) / (h * w);
  }
  return {
    map: writeNpy({ dtype: 'float32', shape: [h, w], data: map }),
    probability: 1 / (1 + Math.exp(-logOdds)),
  };
});
