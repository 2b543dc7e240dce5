import { type Compute, threadTask } from '../shared/compute.js';
import { type NetworkKind, readNetwork } from '../shared/networks.js';
import { readModel, writeModel } from '../shared/onnx/model.js';
import { shareModel } from '../shared/onnx/session-cache.js';
import { composePatchGraph, gridOf, type Projection, type Size } from '../shared/patchcore/score-graph.js';
import type { DefectInput } from './defect-thread.js';
import type { ImageVectors } from './image-vectors.js';
import { orderedMap } from './ordered-map.js';
import type { PatchInput, PatchOutput } from './patch-thread.js';
import type { ProjectInput } from './project-thread.js';
import { addMoments, createMoments, type Moments } from './projection.js';
import { isSkipped, type SkippedImage, skipUnreadable, type TrainingImage } from './readable-images.js';
import type { TrainingSource } from './training-images.js';

const patchTask = threadTask<PatchInput, PatchOutput>(new URL('./patch-thread.js', import.meta.url));
const defectTask = threadTask<DefectInput, ImageVectors>(new URL('./defect-thread.js', import.meta.url));
const projectTask = threadTask<ProjectInput, void>(new URL('./project-thread.js', import.meta.url));

/** Images projected by one task. */
const imagesPerTask = 32;

/** Runs one network over images to learn from. */
export interface PatchExtractor {
  extract(source: TrainingSource): Promise<PatchOutput>;
  /** Makes a defect on a good image and extracts it. */
  extractDefect(defect: Pick<DefectInput, 'good' | 'texture' | 'seed'>): Promise<ImageVectors>;
}

export interface ExtractorOptions {
  compute: Compute;
  input: Size;
  maxImageBytes: number;
}

export async function createPatchExtractor(
  kind: NetworkKind,
  { compute, input, maxImageBytes }: ExtractorOptions,
): Promise<PatchExtractor> {
  const graph = composePatchGraph(readModel(await readNetwork(kind)).graph, input);
  const model = shareModel(writeModel(graph));
  return {
    extract: async (source) => compute.run(patchTask, { bytes: await source.read(), maxImageBytes, input, model }),
    extractDefect: (defect) => compute.run(defectTask, { ...defect, input, model }),
  };
}

/** Of images in their order. */
export interface PatchFeatures {
  /** Raw patch vectors (P, 328) of each image. */
  raw: Float32Array[];
  /** (1280) of each image */
  embeddings: Float32Array[];
  /** (3) of each image: the readable features that need no memory bank */
  appearances: Float64Array[];
}

export interface TrainingFeatures extends PatchFeatures {
  /** The images that could be decoded. */
  images: TrainingImage[];
  skipped: SkippedImage[];
  moments: Moments;
  /** JPEG of each image at model size. */
  pictures: Uint8Array[];
  /** (H, W, 3) in shared memory of up to `keptPixels` of the images, by number. */
  pixels: Map<number, Uint8Array>;
}

/** From so many images, spread over all, defects are made. */
const keptPixels = 300;

export async function extractFeatures(
  all: readonly TrainingImage[],
  extractor: PatchExtractor,
  { compute, input }: ExtractorOptions,
  onExtracted: () => void,
): Promise<TrainingFeatures> {
  const grid = gridOf(input);
  const features = {
    ...{ images: [], skipped: [], raw: [], embeddings: [], appearances: [] },
    ...{ moments: createMoments(), pictures: [], pixels: new Map() },
  } as TrainingFeatures;
  const extract = async (image: TrainingImage, index: number) => {
    const output = await skipUnreadable(image.source, () => extractor.extract(image.source));
    return { image, index, output };
  };
  for await (const { image, index, output } of orderedMap(all, 2 * compute.threads, extract)) {
    onExtracted();
    if (isSkipped(output)) {
      features.skipped.push(output);
      continue;
    }
    if ((index * keptPixels) % all.length < keptPixels)
      features.pixels.set(features.images.length, share(output.pixels));
    features.images.push(image);
    features.pictures.push(output.picture);
    addFeatures(features, output);
    addMoments(features.moments, grid.height * grid.width, output.sums, output.products);
  }
  return features;
}

function share(pixels: Uint8Array): Uint8Array {
  const shared = new Uint8Array(new SharedArrayBuffer(pixels.length));
  shared.set(pixels);
  return shared;
}

export function addFeatures(features: PatchFeatures, { raw, embedding, appearance }: ImageVectors): void {
  features.raw.push(raw);
  features.embeddings.push(embedding);
  features.appearances.push(appearance);
}

/** (N, P, d) in shared memory. Empties `raw`: together they are the largest arrays of a fit. */
export async function projectFeatures(raw: Float32Array[], projection: Projection, patches: number, compute: Compute) {
  const length = patches * projection.bias.length;
  const projected = new Float32Array(new SharedArrayBuffer(raw.length * length * Float32Array.BYTES_PER_ELEMENT));
  const tasks: Promise<void>[] = [];
  for (let from = 0; raw.length > 0; from += imagesPerTask) {
    const vectors = raw.splice(0, imagesPerTask);
    const target = projected.subarray(from * length, (from + vectors.length) * length);
    const buffers = vectors.map(({ buffer }) => buffer as ArrayBuffer);
    tasks.push(compute.run(projectTask, { raw: vectors, projection, projected: target }, buffers));
  }
  await Promise.all(tasks);
  return projected;
}
