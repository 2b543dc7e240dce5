import { createDifferentiator, type Differentiator } from '../explain/differentiator.js';
import { bindNetwork } from '../explain/network.js';
import { inThread } from '../shared/compute.js';
import { expectArray, writeNpy } from '../shared/npy.js';
import { readNpz } from '../shared/npz.js';
import { prepareImage } from '../shared/onnx/image-input.js';
import { unpackModel } from '../shared/onnx/packed-model.js';
import { type FloatTensor, type RunGraph, runGraphKeeping } from '../shared/onnx/run-graph.js';
import { explainByClassifier, judge, type UserClassifier } from './user-classifier.js';

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

/** Runs a product's own classifier on the pixels that score stored, and explains what it says. */
export default inThread<OwnClassifierInput, OwnClassifierOutput>(async ({ work, classifier, maxLoadedBundles }) => {
  const pixels = expectArray(readNpz(work).input, 'input', 'uint8', [null, null, 3]);
  const [H, W] = pixels.shape as [number, number, number];
  const image = prepareImage(pixels.data, H, W, classifier.input);
  const run = runGraphKeeping(maxLoadedBundles);
  const differentiatorFor = () => differentiatorOf(classifier, image, run, maxLoadedBundles);
  const { map, h, w, scores } = await explainByClassifier(classifier, image, run, differentiatorFor);
  return { map: writeNpy({ dtype: 'float32', shape: [h, w], data: map }), ...judge(scores, classifier) };
});

/** This thread's, by classifier and dims of the image, the least recently used first. */
const differentiators = new Map<string, Differentiator>();

async function differentiatorOf({ model, scores }: UserClassifier, image: FloatTensor, run: RunGraph, most: number) {
  const key = `${model.id} [${image.dims}]`;
  const known = differentiators.get(key);
  const found = known ?? createDifferentiator(await bindNetwork(unpackModel(model), image, scores), run);
  differentiators.delete(key);
  differentiators.set(key, found);
  for (const oldest of [...differentiators.keys()].slice(0, -most)) differentiators.delete(oldest);
  return found;
}
