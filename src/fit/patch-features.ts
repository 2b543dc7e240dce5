import { type Compute, threadTask } from '../shared/compute.js';
import type { ModelInput } from '../shared/model-input.js';
import { type NetworkKind, readNetwork, vectorLength } from '../shared/networks.js';
import { readModel, writeModel } from '../shared/onnx/model.js';
import { type SharedModel, shareModel } from '../shared/onnx/session-cache.js';
import { gridOf, type Size, type VectorForm } from '../shared/patchcore/patch-vectors.js';
import { composePatchGraph } from '../shared/patchcore/score-graph.js';
import type { ImageVectors } from './image-vectors.js';
import { orderedMap } from './ordered-map.js';
import type { PatchInput, PatchOutput } from './patch-thread.js';
import { addMoments, createMoments, type Moments } from './projection.js';
import { isSkipped, type SkippedImage, skipUnreadable, type TrainingImage } from './readable-images.js';

const patchTask = threadTask<PatchInput, PatchOutput>(new URL('./patch-thread.js', import.meta.url));

/** How images are decoded and where they are computed with. */
export interface Extraction {
  compute: Compute;
  input: ModelInput;
  maxImageBytes: number;
}

/** Of images in their order. */
export interface ImageFeatures {
  /** (1280) of each image */
  embeddings: Float32Array[];
  /** (3) of each image: the readable features that need no memory bank */
  appearances: Float64Array[];
}

export interface TrainingFeatures extends ImageFeatures {
  /** The images that could be decoded. */
  images: TrainingImage[];
  skipped: SkippedImage[];
  /** Of all their patch vectors: these themselves would not fit into memory. */
  moments: Moments;
  /** JPEG of each image at model size. */
  pictures: Uint8Array[];
  /** (H, W, 3) of each image, in shared memory. */
  pixels: Uint8Array[];
}

/** See `composePatchGraph`. */
export async function patchModel(kind: NetworkKind, input: Size, form: VectorForm): Promise<SharedModel> {
  return shareModel(writeModel(composePatchGraph(readModel(await readNetwork(kind)).graph, input, form)));
}

/** The first look at the training images, from which the projections of their patch vectors are learned. */
export async function extractFeatures(
  all: readonly TrainingImage[],
  kind: NetworkKind,
  form: VectorForm,
  { compute, input, maxImageBytes }: Extraction,
  onExtracted: () => void,
): Promise<TrainingFeatures> {
  const { height, width } = gridOf(input);
  const model = await patchModel(kind, input, form);
  const features: TrainingFeatures = {
    ...{ images: [], skipped: [], embeddings: [], appearances: [], pictures: [], pixels: [] },
    moments: createMoments(vectorLength(form.layers)),
  };
  const extract = async (image: TrainingImage) => {
    const read = async () => compute.run(patchTask, { bytes: await image.source.read(), maxImageBytes, input, model });
    return { image, output: await skipUnreadable(image.source, read) };
  };
  for await (const { image, output } of orderedMap(all, 2 * compute.threads, extract)) {
    onExtracted();
    if (isSkipped(output)) {
      features.skipped.push(output);
      continue;
    }
    features.images.push(image);
    features.pictures.push(output.picture);
    features.pixels.push(share(output.pixels));
    addFeatures(features, output);
    addMoments(features.moments, height * width, output.sums, output.products);
  }
  return features;
}

function share(pixels: Uint8Array): Uint8Array {
  const shared = new Uint8Array(new SharedArrayBuffer(pixels.length));
  shared.set(pixels);
  return shared;
}

export function addFeatures(features: ImageFeatures, { embedding, appearance }: ImageVectors): void {
  features.embeddings.push(embedding);
  features.appearances.push(appearance);
}
