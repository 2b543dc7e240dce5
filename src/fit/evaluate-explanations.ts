import { readFile } from 'node:fs/promises';
import type { ExplainedClassifier } from '../explain/explained-classifier.js';
import { methods as explainMethods } from '../explain/methods.js';
import { stack } from '../explain/question.js';
import { trainingPictureKey } from '../shared/bundle.js';
import { type Compute, shareFloats, threadTask } from '../shared/compute.js';
import { PatchlineError } from '../shared/errors.js';
import { createRandom } from '../shared/kernels/random.js';
import { createRunningMoments, type RunningMoments } from '../shared/kernels/running-moments.js';
import type { LoadedBundle } from '../shared/loaded-bundle.js';
import { decodeInput } from '../shared/model-input.js';
import { suggestionFor } from '../shared/nearest-name.js';
import { prepareImage } from '../shared/onnx/image-input.js';
import type { FloatTensor } from '../shared/onnx/run-graph.js';
import type { ObjectStore } from '../shared/store/object-store.js';
import { isGood } from './evaluate.js';
import type { JudgedImage } from './evaluate-images.js';
import { type MethodSummary, summariseMethods } from './explanation-figures.js';
import {
  anomalyMapName,
  drawnMaps,
  type ExplanationFigures,
  type ExplanationsTask,
  type JudgedExplanations,
} from './image-explanations.js';
import { orderedMap } from './ordered-map.js';

/** Cheap ones of those that work on every network: what an inspection shows first. */
export const usualMethods = [anomalyMapName, 'grad-cam++', 'grad-cam', 'layer-cam'] as const;

/** What can be judged. */
export const judgedMethods: readonly string[] = [anomalyMapName, ...Object.keys(explainMethods)];

export interface EvaluateExplanationsOptions {
  /** Of the test set, judged by the bundle. */
  images: readonly JudgedImage[];
  bundle: LoadedBundle;
  /** Holds the bundle's training images. */
  store: ObjectStore;
  classifier: ExplainedClassifier;
  /** Of `judgedMethods`. */
  methods: readonly string[];
  /** Of the defective images so many are taken, chosen by lot. */
  mostImages: number;
  compute: Compute;
  maxImageBytes: number;
  progress?: (state: { phase: 'explanations'; done: number; total: number }) => void;
}

/** How far explanations of defects can be trusted. */
export interface ExplanationEvaluation {
  /** Explained, of so many defective ones; those with a mask count for energyInMask and pointingGame. */
  images: number;
  defective: number;
  withMask: number;
  /** Good training images that the noise of pixel flipping is drawn after. */
  noiseImages: number;
  /** Mean probability of a defect by the classifier, before any pixel is changed. */
  meanProbability: number;
  /** Mean part of an image that its mask marks: energyInMask by chance. */
  maskShare: number | null;
  /** Those asked for, and maps drawn by lot. */
  methods: Record<string, MethodSummary>;
}

export interface ExplainedImage {
  judged: JudgedImage;
  explanations: JudgedExplanations;
}

interface JudgedFigures extends Omit<JudgedExplanations, 'methods'> {
  figures: Record<string, ExplanationFigures>;
}

const seed = 0;
/** Images that are kept to be drawn, from all over the set. */
const examples = 3;

const explanationsTask = threadTask<ExplanationsTask, JudgedExplanations>(
  new URL('./explanations-thread.js', import.meta.url),
);

/**
 * Explains defective images and measures each explanation: where masks are, whether it points at them; and by changing the pixels
 * that it names, whether the classifier's probability of a defect depends on these.
 *
 * @throws DATASET_INVALID where there is no defective image
 */
export async function evaluateExplanations(
  options: EvaluateExplanationsOptions,
): Promise<{ evaluation: ExplanationEvaluation; shown: ExplainedImage[] }> {
  const { images, bundle, classifier, compute, maxImageBytes, progress } = options;
  const methods = [...options.methods, ...drawnMaps];
  const defective = images.filter((judged) => !isGood(judged));
  const chosen = choose(defective, options.mostImages);
  const { pictures, count, ...good } = await readGoodImages(options);
  const explain = async ({ image: { path }, anomalyMap, mask }: JudgedImage, index: number) => {
    const bytes = await readFile(path);
    return await compute.run(explanationsTask, {
      ...{ bytes, anomalyMap, mask: mask?.includes(1) ? mask : undefined, scoring: bundle.scoring, maxImageBytes },
      ...{ ...good, goodPixels: pictures[index % pictures.length]!, classifier, methods, seed: index },
    });
  };
  const judged: JudgedFigures[] = [];
  const shown: ExplainedImage[] = [];
  for await (const explanations of orderedMap(chosen, compute.threads + 1, explain)) {
    const index = judged.length;
    if (index % Math.ceil(chosen.length / examples) === 0) shown.push({ judged: chosen[index]!, explanations });
    judged.push(withoutMaps(explanations));
    progress?.({ phase: 'explanations', done: judged.length, total: chosen.length });
  }
  const maskShares = judged.flatMap(({ maskShare }) => maskShare ?? []);
  const evaluation = {
    images: judged.length,
    defective: defective.length,
    withMask: maskShares.length,
    noiseImages: count,
    meanProbability: meanOf(judged.map(({ probability }) => probability)),
    maskShare: maskShares.length > 0 ? meanOf(maskShares) : null,
    methods: summariseMethods(judged.map(({ figures }) => figures)),
  };
  return { evaluation, shown };
}

/** The maps of all images would fill the memory. */
function withoutMaps({ methods, ...judged }: JudgedExplanations): JudgedFigures {
  const figures = Object.entries(methods).map(([name, { figures }]) => [name, figures] as const);
  return { ...judged, figures: Object.fromEntries(figures) };
}

const meanOf = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;

/** Each once. @throws ARGUMENT_INVALID for one that there is not */
export function assertMethods(methods: readonly string[]): readonly string[] {
  const wrong = methods.find((name) => !judgedMethods.includes(name));
  if (wrong === undefined) return [...new Set(methods)];
  throw new PatchlineError(
    'ARGUMENT_INVALID',
    `Expected some of ${judgedMethods.join(', ')} for --explanations but received ${JSON.stringify(wrong)}` +
      suggestionFor(wrong, judgedMethods),
  );
}

/** By lot, in their own order. */
function choose(defective: readonly JudgedImage[], most: number): JudgedImage[] {
  if (defective.length === 0) {
    throw new PatchlineError('DATASET_INVALID', 'Expected defective images to explain but there are good ones only');
  }
  const drawn = new Set(createRandom(seed).permutation(defective.length).subarray(0, most));
  return defective.filter((_, index) => drawn.has(index));
}

/** Enough for a mean and a deviation at each pixel. */
const mostGoodImages = 200;
/** Of these the ones that deep-shap compares with, and that pixels are taken from. */
const backgroundImages = 8;
const readAtOnce = 8;

/** What the bundle learned from, as the classifier is fed. */
async function readGoodImages({ bundle: { bundle }, store, classifier }: EvaluateExplanationsOptions) {
  const { height: H, width: W } = bundle.input;
  const total = bundle.training.images.length;
  const drawn = [...createRandom(seed).permutation(total).subarray(0, mostGoodImages)];
  const read = async (image: number) => {
    const bytes = await store.get(trainingPictureKey(bundle, image));
    const { pixels } = await decodeInput(bytes, bundle.input, { maxImageBytes: bytes.length });
    return { pixels, ...prepareImage(pixels, H, W, classifier.input) };
  };
  let moments: RunningMoments | undefined;
  const few: (FloatTensor & { pixels: Uint8Array })[] = [];
  for await (const each of orderedMap(drawn, readAtOnce, read)) {
    moments ??= createRunningMoments(each.data.length);
    moments.add(each.data);
    if (few.length < backgroundImages) few.push(each);
  }
  const { means, deviations } = moments!.moments();
  const background = stack(
    few.map(({ data }) => data),
    few[0]!.dims.slice(1),
  );
  return {
    statistics: { means: shareFloats(means), deviations: shareFloats(deviations) },
    background: { ...background, data: shareFloats(background.data) },
    pictures: few.map(({ pixels }) => pixels),
    count: drawn.length,
  };
}
