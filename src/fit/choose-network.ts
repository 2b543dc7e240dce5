import { threadTask } from '../shared/compute.js';
import { bankLayers, type NetworkKind, patchVectorLength } from '../shared/networks.js';
import type { Neighbourhood } from '../shared/patchcore/patch-vectors.js';
import { type Extraction, patchModel } from './patch-features.js';
import type { PatchInput } from './patch-thread.js';
import { isSkipped, skipUnreadable, type TrainingImage } from './readable-images.js';

const rawTask = threadTask<PatchInput, Float32Array>(new URL('./raw-thread.js', import.meta.url));

/** int8 costs half, but only x86-64 processors are fast at it. */
const int8Architecture = 'x64';
/** Above this int8 features differ too much from the network's. */
const largestFeatureError = 0.25;
const comparedImages = 16;

export interface NetworkChoice {
  kind: NetworkKind;
  featureError: number | null;
}

/**
 * The network for a product: as wished, or with `auto` int8 where it is fast and its patch vectors on 16 training images
 * stay close to those of float.
 */
export async function chooseNetwork(
  wish: NetworkKind | 'auto',
  images: readonly TrainingImage[],
  neighbourhood: Neighbourhood,
  extraction: Extraction,
): Promise<NetworkChoice> {
  if (wish !== 'auto') return { kind: wish, featureError: null };
  if (process.arch !== int8Architecture) return { kind: 'float', featureError: null };
  const count = Math.min(comparedImages, images.length);
  const compared = Array.from({ length: count }, (_, index) => images[Math.floor((index * images.length) / count)]!);
  /** Raw patch vectors of the images that can be decoded: the same ones for each network. */
  const rawVectors = async (kind: NetworkKind) => {
    const { compute, input, maxImageBytes } = extraction;
    const model = await patchModel(kind, input, { layers: bankLayers, neighbourhood });
    const extract = async ({ source }: TrainingImage) =>
      compute.run(rawTask, { bytes: await source.read(), maxImageBytes, input, model });
    const outputs = await Promise.all(compared.map((image) => skipUnreadable(image.source, () => extract(image))));
    return outputs.flatMap((output) => (isSkipped(output) ? [] : [output]));
  };
  const [exact, quantised] = await Promise.all([rawVectors('float'), rawVectors('int8')]);
  const error = featureError(exact, quantised);
  return { kind: error < largestFeatureError ? 'int8' : 'float', featureError: error };
}

/** Root mean square of the difference over that of the exact values, centred in each channel. */
export function featureError(exact: readonly Float32Array[], approximate: readonly Float32Array[]): number {
  const C = patchVectorLength;
  const means = new Float64Array(C);
  let count = 0;
  for (const vectors of exact) {
    for (let index = 0; index < vectors.length; index++) means[index % C]! += vectors[index]!;
    count += vectors.length / C;
  }
  let [difference, total] = [0, 0];
  exact.forEach((vectors, image) => {
    for (let index = 0; index < vectors.length; index++) {
      difference += (vectors[index]! - approximate[image]![index]!) ** 2;
      total += (vectors[index]! - means[index % C]! / count) ** 2;
    }
  });
  return total > 0 ? Math.sqrt(difference / total) : 0;
}
