import { pooledLinearGradCamPlusPlus } from '../explain/cam/grad-cam-plus-plus.js';
import { inThread } from '../shared/compute.js';
import { expectArray, writeNpy } from '../shared/npy.js';
import { readNpz } from '../shared/npz.js';
import { prepareImage } from '../shared/onnx/image-input.js';
import { sessionOf } from '../shared/onnx/session-cache.js';
import { judge, runClassifier, type UserClassifier } from '../shared/user-classifier.js';

export interface OwnClassifierInput {
  /** The work object, .npz. */
  work: Uint8Array;
  classifier: UserClassifier;
  maxLoadedBundles: number;
}

export interface OwnClassifierOutput {
  /** .npy, float32 (h, w), signed */
  map: Uint8Array;
  label: string;
  /** Of a defect. */
  probability: number;
}

/** Runs a product's own classifier on the pixels that score stored; a pooled and linear head needs no backward pass. */
export default inThread<OwnClassifierInput, OwnClassifierOutput>(async ({ work, classifier, maxLoadedBundles }) => {
  const pixels = expectArray(readNpz(work).input, 'input', 'uint8', [null, null, 3]);
  const [H, W] = pixels.shape as [number, number, number];
  const session = await sessionOf(classifier.model, maxLoadedBundles);
  const image = prepareImage(pixels.data, H, W, classifier.input);
  const { activations, shape, logits } = await runClassifier(session, classifier, image);
  const [C, h, w] = shape;
  const { map } = pooledLinearGradCamPlusPlus(activations, classifier.weights, C, h, w);
  return { map: writeNpy({ dtype: 'float32', shape: [h, w], data: map }), ...judge(logits, classifier) };
});
