import { type Compute, threadTask } from '../shared/compute.js';
import { type NetworkKind, readNetwork } from '../shared/networks.js';
import { readModel, writeModel } from '../shared/onnx/model.js';
import { shareModel } from '../shared/onnx/session-cache.js';
import { composePatchGraph, gridOf, type Projection, type Size } from '../shared/patchcore/score-graph.js';
import { orderedMap } from './ordered-map.js';
import type { PatchInput, PatchOutput } from './patch-thread.js';
import type { ProjectInput } from './project-thread.js';
import { addMoments, createMoments, type Moments } from './projection.js';
import { isSkipped, type SkippedImage, skipUnreadable, type TrainingImage } from './readable-images.js';
import type { TrainingSource } from './training-images.js';

const patchTask = threadTask<PatchInput, PatchOutput>(new URL('./patch-thread.js', import.meta.url));
const projectTask = threadTask<ProjectInput, void>(new URL('./project-thread.js', import.meta.url));

/** Images projected by one task. */
const imagesPerTask = 32;

/** Runs one network over training images. */
export interface PatchExtractor {
  extract(source: TrainingSource): Promise<PatchOutput>;
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
  };
}

export interface PatchFeatures {
  /** The images that could be decoded, in their order. */
  images: TrainingImage[];
  skipped: SkippedImage[];
  /** Raw patch vectors (P, 328) of each image. */
  raw: Float32Array[];
  moments: Moments;
  /** JPEG of each image at model size. */
  pictures: Uint8Array[];
}

export async function extractFeatures(
  all: readonly TrainingImage[],
  extractor: PatchExtractor,
  { compute, input }: ExtractorOptions,
  onExtracted: () => void,
): Promise<PatchFeatures> {
  const grid = gridOf(input);
  const features: PatchFeatures = { images: [], skipped: [], raw: [], moments: createMoments(), pictures: [] };
  const extract = async (image: TrainingImage) => {
    const output = await skipUnreadable(image.source, () => extractor.extract(image.source));
    return { image, output };
  };
  for await (const { image, output } of orderedMap(all, 2 * compute.threads, extract)) {
    onExtracted();
    if (isSkipped(output)) {
      features.skipped.push(output);
      continue;
    }
    features.images.push(image);
    features.raw.push(output.raw);
    features.pictures.push(output.picture);
    addMoments(features.moments, grid.height * grid.width, output.sums, output.products);
  }
  return features;
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
