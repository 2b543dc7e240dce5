import type { Bundle, ProfileName } from '../shared/bundle.js';
import type { Compute } from '../shared/compute.js';
import type { Region } from '../shared/kernels/region-mask.js';
import type { Logger } from '../shared/logger.js';
import type { NetworkKind } from '../shared/networks.js';
import type { ScoreName } from '../shared/patchcore/image-score.js';
import type { ObjectStore } from '../shared/store/object-store.js';
import { arraysOf, draftOf, sampleArraysOf, subspaceArraysOf } from './bundle-draft.js';
import { writeBundle } from './bundle-writer.js';
import { extractTraining, learn } from './learn.js';
import type { Tiles } from './network-input.js';
import { recipeOf } from './profile.js';
import { assertEnoughImages, readHeaders } from './readable-images.js';
import { assertEnoughDefects, robustRule, type ThresholdChoice } from './threshold.js';
import type { TrainingSource } from './training-images.js';
import { trainingWarnings } from './training-warnings.js';

export type FitPhase =
  | 'reading'
  | 'features'
  | 'projection'
  | 'labelled defects'
  | 'synthetic defects'
  | 'bank'
  | 'subspace'
  | 'classifier'
  | 'writing';
export interface FitProgress {
  phase: FitPhase;
  done: number;
  total: number;
}

export interface FitOptions {
  /** Good images, in an order that is the same for every fit of them. */
  images: Iterable<TrainingSource> | AsyncIterable<TrainingSource>;
  /** Labelled images of defects, which classifier and risk model learn from; without them defects are made up. */
  defects?: readonly TrainingSource[];
  product: string;
  seed: number;
  /** `fast` where it is not given. */
  profile?: ProfileName;
  /** The profile's own where they are not given. */
  network?: NetworkKind | 'auto';
  score?: ScoreName;
  /** How much larger than the profile's own the model input is; 1 × 1 where it is not given. */
  tiles?: Tiles;
  /** The part of the images that is inspected; all where it is not given. */
  region?: Region;
  /** The rule that the threshold is found by; `robust` where it is not given. */
  threshold?: ThresholdChoice;
  /** Whether new images are inspected with the bundle from now on. */
  activate: boolean;
  store: ObjectStore;
  compute: Compute;
  maxImageBytes: number;
  logger: Logger;
  progress?: (progress: FitProgress) => void;
}

/**
 * Learns a bundle from good images and writes it to the store: PatchCore (arXiv:2106.08265) on two layers of the network, with
 * what the profile and the score add to it; then a good/defect classifier and a risk model. The same images, profile, score
 * and seed give the same bytes of every part, for any number of threads.
 *
 * Unreadable images are left out and named in the bundle's warnings.
 *
 * Errors: TOO_FEW_IMAGES below 5 images, or 5 of defects where their misses are to be weighed, DATASET_INVALID where more than a fifth cannot be read, MODEL_DAMAGED, those of the store.
 */
export async function fitBundle(options: FitOptions): Promise<Bundle> {
  const count = progressCounter(options.progress);
  const sources: TrainingSource[] = [];
  for await (const source of options.images) sources.push(source);
  const headers = await readHeaders(sources, count('reading', sources.length));
  assertEnoughImages(headers.images.length, headers.skipped);
  const { threshold = robustRule, defects = [] } = options;
  assertEnoughDefects(threshold, defects.length);

  const recipe = recipeOf(options);
  const context = { ...options, recipe, count };
  const training = await extractTraining(headers.images, context);
  const skipped = [...headers.skipped, ...training.skipped];
  assertEnoughImages(training.images.length, skipped);
  const learned = await learn(training, context);
  const { oddImages } = learned.calibration;
  const names = training.images.map(({ source }) => source.name);
  const found = { names, skipped, firstOf: training.firstOf, choice: threshold, oddImages };
  const warnings = [...trainingWarnings(found), ...learned.defects.warnings];
  const bundle = await writeBundle({
    store: options.store,
    draft: draftOf(training, learned, context, warnings),
    arrays: arraysOf(training, learned),
    subspaceArrays: subspaceArraysOf(training, learned),
    sampleArrays: sampleArraysOf(learned),
    pictures: training.pictures,
    activate: options.activate,
    count: (total) => count('writing', total),
  });
  options.logger.info({ product: bundle.product, version: bundle.version, warnings: bundle.warnings }, 'fitted');
  return bundle;
}

export type Count = (phase: FitPhase, total: number) => (steps?: number) => void;

/** Starts a phase of `total` steps; each call of what it returns is one or more steps done. */
export function progressCounter(progress: FitOptions['progress']): Count {
  return (phase, total) => {
    let done = 0;
    progress?.({ phase, done, total });
    return (steps = 1) => {
      done += steps;
      progress?.({ phase, done, total });
    };
  };
}
