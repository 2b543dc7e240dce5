import { shareFloats } from '../shared/compute.js';
import type { Warning } from '../shared/contracts.js';
import { createRandom } from '../shared/kernels/random.js';
import type { DefectVectors } from './defect-thread.js';
import { someOf } from './labelled-images.js';
import { orderedMap } from './ordered-map.js';
import { addFeatures, type ImageFeatures } from './patch-features.js';
import type { Projector } from './projector.js';
import { isSkipped, type SkippedImage, skipUnreadable } from './readable-images.js';
import type { TrainingSource } from './training-images.js';

/** Images of defects, from which classifier and risk model learn. They never join the memory bank. */
export interface DefectFeatures extends ImageFeatures {
  /** (P, d) of each image, in shared memory */
  projected: Float32Array[];
  /** (P, d2) of each labelled image, in shared memory, for the score `fused` */
  subspaceVectors: Float32Array[];
  kind: 'labelled' | 'synthetic';
  /** The training image that each was made on; -1 for a labelled one. */
  madeOn: number[];
}

/** Of labelled defects: fewer could not be dealt out to the folds of a cross-validation. */
export const fewestLabelled = 5;
const trustedLabelled = 20;
/** Of synthetic defects: where there are fewer good images, each gets several. */
const fewestSynthetic = 100;

export interface DefectOptions {
  projector: Projector;
  maxImageBytes: number;
  /** Images extracted at once. */
  concurrency: number;
  /** (H, W, 3) in shared memory of the training images that defects are made on, by number */
  pixels: ReadonlyMap<number, Uint8Array>;
  /** The fold of each training image. */
  foldOf: Int32Array;
  seed: number;
  /** Synthetic defects wanted at least; 100 where it is not given. */
  fewest?: number;
  /** (1280) of each labelled defect that was learned from before. */
  learned?: readonly Float32Array[];
  count(phase: 'labelled defects' | 'synthetic defects', total: number): () => void;
}

/** Labelled defects where there are 5 that can be read, else synthetic ones; `labelled` says how many can. */
export async function extractDefects(sources: readonly TrainingSource[], options: DefectOptions) {
  const labelled = await extractLabelled(sources, options);
  const warnings = defectWarnings(labelled.madeOn.length, labelled);
  const defects = labelled.madeOn.length < fewestLabelled ? await extractSynthetic(options) : labelled;
  return { ...defects, labelled: labelled.madeOn.length, known: labelled.known, warnings };
}

/** Labelled images of defects that were left out. */
export interface LeftOut {
  skipped: SkippedImage[];
  /** Names of those that were learned from before. */
  known: string[];
  /** Names of those that show the same as one before them. */
  repeated: string[];
}

export async function extractLabelled(sources: readonly TrainingSource[], options: DefectOptions) {
  const { projector, maxImageBytes, concurrency, learned = [], count } = options;
  const defects: DefectFeatures = { kind: 'labelled', ...emptyFeatures() };
  const leftOut: LeftOut = { skipped: [], known: [], repeated: [] };
  if (sources.length === 0) return { ...defects, ...leftOut };
  const onExtracted = count('labelled defects', sources.length);
  const extract = (source: TrainingSource) =>
    skipUnreadable(source, async () => ({
      name: source.name,
      vectors: await projector.extractDefect({ bytes: await source.read(), maxImageBytes }),
    }));
  for await (const output of orderedMap(sources, concurrency, extract)) {
    onExtracted();
    if (isSkipped(output)) leftOut.skipped.push(output);
    else if (learned.some((earlier) => isSame(earlier, output.vectors.embedding))) leftOut.known.push(output.name);
    else if (defects.embeddings.some((earlier) => isSame(earlier, output.vectors.embedding))) {
      leftOut.repeated.push(output.name);
    } else addDefect(defects, output.vectors, -1);
  }
  return { ...defects, ...leftOut };
}

/**
 * Embeddings of one image differ by no more than the arithmetic of two machines, those of two images of plates or magnetic tiles
 * by 0.13 of their length and more.
 */
const largestDifference = 0.02;

function isSame(a: Float32Array, b: Float32Array): boolean {
  let [difference, length] = [0, 0];
  for (let i = 0; i < a.length; i++) {
    difference += (a[i]! - b[i]!) ** 2;
    length += a[i]! ** 2;
  }
  return difference <= largestDifference ** 2 * length;
}

async function extractSynthetic(options: DefectOptions) {
  const { projector, concurrency, pixels, foldOf, seed, fewest, count } = options;
  const defects: DefectFeatures = { kind: 'synthetic', ...emptyFeatures() };
  const plans = planDefects([...pixels.keys()], foldOf, seed, fewest);
  const onExtracted = count('synthetic defects', plans.length);
  const make = async (plan: DefectPlan) => {
    const recipe = { good: pixels.get(plan.on)!, texture: pixels.get(plan.from)!, seed: plan.seed };
    return { plan, output: await projector.extractDefect(recipe) };
  };
  for await (const { plan, output } of orderedMap(plans, concurrency, make)) {
    onExtracted();
    addDefect(defects, output, plan.on);
  }
  return defects;
}

const emptyFeatures = (): Omit<DefectFeatures, 'kind'> => ({
  ...{ madeOn: [], projected: [], subspaceVectors: [], embeddings: [], appearances: [] },
});

function addDefect(defects: DefectFeatures, output: DefectVectors, madeOn: number): void {
  addFeatures(defects, output);
  defects.projected.push(shareFloats(output.projected));
  if (output.subspaceVectors) defects.subspaceVectors.push(shareFloats(output.subspaceVectors));
  defects.madeOn.push(madeOn);
}

/** What is to be made: a defect on one training image, cut from one of the same fold, so that one bank knows neither. */
export interface DefectPlan {
  on: number;
  from: number;
  seed: number;
}

/**
 * As many defects as there are images to make them on, or several on each to have `fewest`.
 *
 * @param images numbers of training images @param foldOf the fold of each training image
 */
export function planDefects(
  images: readonly number[],
  foldOf: Int32Array,
  seed: number,
  fewest = fewestSynthetic,
): DefectPlan[] {
  const random = createRandom(seed);
  const count = images.length * Math.ceil(fewest / images.length);
  return Array.from({ length: count }, (_, index) => {
    const on = images[index % images.length]!;
    const sameFold = images.filter((image) => foldOf[image] === foldOf[on]);
    return { on, from: sameFold[random.integer(sameFold.length)]!, seed: random.integer(2 ** 32) };
  });
}

export function defectWarnings(
  labelled: number,
  { skipped, repeated }: Pick<LeftOut, 'skipped' | 'repeated'>,
): Warning[] {
  const warnings: Warning[] = [];
  if (skipped.length > 0) {
    const faults = skipped.map(({ name, code, message }) => `${name} (${code}: ${message})`);
    const message = `${skipped.length} labelled images of defects could not be read: ${faults.join('; ')}`;
    warnings.push({ code: 'DEFECT_IMAGES_SKIPPED', message });
  }
  if (repeated.length > 0) {
    const message = `${repeated.length} labelled images of defects show the same as another and were left out: ${someOf(repeated)}`;
    warnings.push({ code: 'DUPLICATE_DEFECT_IMAGES', message });
  }
  if (labelled < trustedLabelled && labelled + skipped.length > 0) {
    const consequence =
      labelled < fewestLabelled
        ? `too few to learn from, so that defects were made up; give at least ${fewestLabelled}`
        : `below ${trustedLabelled} the figures of classifier and risk model are left to chance`;
    warnings.push({ code: 'FEW_DEFECT_IMAGES', message: `${labelled} labelled images of defects: ${consequence}` });
  }
  return warnings;
}
