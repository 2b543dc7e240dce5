import type { Bundle } from '../shared/bundle.js';
import type { Warning } from '../shared/contracts.js';
import { arraysOf, draftOf, sampleArraysOf, subspaceArraysOf } from './bundle-draft.js';
import { writeBundle } from './bundle-writer.js';
import { type Count, type FitOptions, progressCounter } from './fit.js';
import { type Base, loadBase } from './grow-base.js';
import { aspectWarnings, extractAdded } from './grow-images.js';
import { growModels } from './grow-models.js';
import { someOf } from './labelled-images.js';
import { type Recipe, recipeOf } from './profile.js';
import { assertEnoughImages, readHeaders, type TrainingImage } from './readable-images.js';
import { robustRule, type ThresholdChoice } from './threshold.js';
import type { TrainingSource } from './training-images.js';
import { trainingWarnings } from './training-warnings.js';

/** What is not given is as in the base. */
export interface GrowOptions
  extends Pick<
    FitOptions,
    'images' | 'defects' | 'product' | 'activate' | 'store' | 'compute' | 'maxImageBytes' | 'logger' | 'progress'
  > {
  /** The version that grows. */
  base: string;
  /** The rule of the base where it is not given. */
  threshold?: ThresholdChoice;
}

export interface Grown {
  bundle: Bundle;
  /** Names of images, good and of defects, that the base has already. */
  known: string[];
}

export interface GrowContext extends GrowOptions {
  recipe: Recipe;
  threshold: ThresholdChoice;
  count: Count;
}

/**
 * Adds good images to a bundle and writes the result as a new version. Network, profile, score, input and projections stay, and
 * the old images are not looked at again; the time it takes goes by the new ones:
 *
 * - The memory bank is chosen from the old bank's rows and the patches of the new images, in the size that a fit would give it:
 *   a greedy choice from a greedy choice (composable coresets, see bank-rows.ts).
 * - The subspace and the residuals of the score `fused` are brought up to date (grow-second-term.ts).
 * - What held-out images look like: of the old ones as it was measured when they came, of the new ones by models of all old and
 *   four fifths of the new ones. To the old bundle alone a kind of good part that nobody had seen looks far too bad: of 60
 *   turned and blurred magnetic tiles beside 150 plain ones the threshold then rose above every one of 80 defects, of which it
 *   finds 41 % as it is, against 48 % before.
 * - Classifier and risk model are learned again, from what the old ones were learned from and the new images.
 *
 * Images that show the same as one of the base, whatever they are called, are left out. The threshold is found by the rule of the
 * base, from the scores of all held-out images; labelled defects of the base keep the scores that they had.
 *
 * Errors: BUNDLE_NOT_FOUND, BUNDLE_DAMAGED, BUNDLE_NETWORK_MISMATCH, BUNDLE_CANNOT_GROW; DATASET_INVALID where more than a fifth
 * of the images cannot be read; TOO_FEW_IMAGES where none is new, or too few are of defects for the threshold that is asked for;
 * MODEL_DAMAGED, those of the store.
 */
export async function growBundle(options: GrowOptions): Promise<Grown> {
  const { store, product, logger } = options;
  const count = progressCounter(options.progress);
  const base = await loadBase(store, product, options.base);
  const { profile, network, score, neighbourhood } = base.bundle;
  const recipe = { ...recipeOf({ profile, network: network.kind, score }), neighbourhood };
  const threshold = options.threshold ?? choiceOf(base.bundle);
  const context = { ...options, recipe, threshold, count };
  const sources: TrainingSource[] = [];
  for await (const source of options.images) sources.push(source);
  const headers = await readHeaders(sources, count('reading', sources.length));
  assertEnoughImages(headers.images.length, headers.skipped, 1);
  const added = await extractAdded(base, headers.images, context);
  const skipped = [...headers.skipped, ...added.skipped];

  const grown = await growModels(base, added, context);
  const images = [...imagesOf(base), ...added.images];
  const training = { ...sharedSettings(base.bundle), images, folds: base.bundle.settings.folds };
  const warnings = [
    ...warningsOf(base.bundle, options),
    ...trainingWarnings({
      names: images.map(({ source }) => source.name),
      ...{ skipped, firstOf: added.firstOf, choice: threshold, oddImages: grown.calibration.oddImages },
    }),
    ...aspectWarnings(base.bundle, added.images),
    ...contradictions(base.bundle, options),
    ...grown.defects.warnings,
  ];
  const bundle = await writeBundle({
    store,
    draft: {
      ...draftOf(training, grown, { product, seed: base.bundle.seed, recipe }, warnings),
      base: base.bundle.version,
      formats: [...new Set([...base.bundle.formats, ...added.images.map(({ format }) => format)])].sort(),
    },
    arrays: arraysOf(training, grown),
    subspaceArrays: subspaceArraysOf(training, grown),
    sampleArrays: sampleArraysOf(grown),
    pictures: [...base.pictures, ...added.pictures],
    activate: options.activate,
    count: (total) => count('writing', total),
  });
  logger.info({ product, base: base.bundle.version, version: bundle.version, added: added.images.length }, 'grown');
  return { bundle, known: [...added.known, ...grown.knownDefects] };
}

const sharedSettings = ({ input, tiles, aspect, grid, network }: Bundle) => {
  const { kind, featureError } = network;
  return { input, tiles, aspect, grid, network: { kind, featureError } };
};

/** The rule that found the threshold of a bundle; one that was set by hand follows from nothing. */
function choiceOf({ thresholdRule }: Bundle): ThresholdChoice {
  if (thresholdRule.rule === 'by-hand') return robustRule;
  return thresholdRule.rule === 'false-alarms' ? { rule: 'false-alarms', rate: thresholdRule.rate } : thresholdRule;
}

/** Warnings that growing finds anew. */
const foundAnew = [
  'FEW_TRAINING_IMAGES',
  'DUPLICATE_IMAGES',
  'FALSE_ALARMS_EXTRAPOLATED',
  'ODD_IMAGES',
  'FEW_DEFECT_IMAGES',
  'THRESHOLD_RESET',
  'DEFECTS_LEARNED_AS_GOOD',
];

/** What was wrong with the base and still is, and whether its threshold is lost. */
function warningsOf({ version, warnings, thresholdRule }: Bundle, { threshold }: GrowOptions): Warning[] {
  const kept = warnings.filter(({ code }) => !foundAnew.includes(code));
  if (thresholdRule.rule !== 'by-hand' || threshold !== undefined) return kept;
  const message = `The threshold of ${version} was set by hand; this one follows from the images: set it again with "patchline bundles threshold"`;
  return [...kept, { code: 'THRESHOLD_RESET', message }];
}

/** Growing takes nothing out of a memory bank. */
function contradictions({ version, training }: Bundle, { defects = [] }: GrowOptions): Warning[] {
  const defective = new Set(defects.map(({ name }) => name));
  const learned = training.images.map(({ name }) => name).filter((name) => defective.has(name));
  if (learned.length === 0) return [];
  const message = `${learned.length} images that ${version} has learned from as good ones are of defects: fit anew without them: ${someOf(learned)}`;
  return [{ code: 'DEFECTS_LEARNED_AS_GOOD', message }];
}

/** The old images: their pictures stand for them. */
function imagesOf({ bundle, pictures }: Base): TrainingImage[] {
  return bundle.training.images.map(({ name, height, width }, image) => ({
    source: { name, read: async () => pictures[image]! },
    size: { height, width },
    format: 'jpeg',
  }));
}
