import type { Bundle } from '../shared/bundle.js';
import type { Compute } from '../shared/compute.js';
import type { Logger } from '../shared/logger.js';
import type { NetworkKind } from '../shared/networks.js';
import { gridOf } from '../shared/patchcore/score-graph.js';
import type { ObjectStore } from '../shared/store/object-store.js';
import { arraysOf, draftOf } from './bundle-draft.js';
import { writeBundle } from './bundle-writer.js';
import { calibrate } from './calibration.js';
import { chooseNetwork } from './choose-network.js';
import { classifierRidges, learnClassifier } from './classifier-head.js';
import { extractDefects } from './defect-images.js';
import { defectSamples } from './defect-samples.js';
import { buildBanks, foldsOf, noFold } from './memory-banks.js';
import { chooseInput } from './network-input.js';
import { createPatchExtractor, extractFeatures, projectFeatures } from './patch-features.js';
import { positionStatistics } from './position-statistics.js';
import { bankDims, bankRows, settings } from './profile.js';
import { fitProjection } from './projection.js';
import { assertEnoughImages, readHeaders, type TrainingImage, trainingWarnings } from './readable-images.js';
import { learnRisk } from './risk-model.js';
import type { TrainingSource } from './training-images.js';

export type FitPhase =
  | 'reading'
  | 'features'
  | 'labelled defects'
  | 'synthetic defects'
  | 'bank'
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
  network: NetworkKind | 'auto';
  /** Whether new images are inspected with the bundle from now on. */
  activate: boolean;
  store: ObjectStore;
  compute: Compute;
  maxImageBytes: number;
  logger: Logger;
  progress?: (progress: FitProgress) => void;
}

/**
 * Learns a bundle from good images and writes it to the store: PatchCore (arXiv:2106.08265) on two levels of the network, with
 * a projected memory bank, local spacing and position statistics; then a good/defect classifier and a risk model. The same
 * images and seed give the same bytes of every part, for any number of threads.
 *
 * Unreadable images are left out and named in the bundle's warnings.
 *
 * Errors: TOO_FEW_IMAGES below 5 images, DATASET_INVALID where more than a fifth cannot be read, MODEL_DAMAGED, those of the store.
 */
export async function fitBundle(options: FitOptions): Promise<Bundle> {
  const count = progressCounter(options.progress);
  const sources: TrainingSource[] = [];
  for await (const source of options.images) sources.push(source);
  const headers = await readHeaders(sources, count('reading', sources.length));
  assertEnoughImages(headers.images.length, headers.skipped);

  const training = await extractTraining(headers.images, options, count);
  const skipped = [...headers.skipped, ...training.skipped];
  assertEnoughImages(training.images.length, skipped);
  const learned = await learn(training, options, count);
  const warnings = [...trainingWarnings(training.images.length, skipped), ...learned.defects.warnings];
  const bundle = await writeBundle({
    store: options.store,
    draft: draftOf(training, learned, options, warnings),
    arrays: arraysOf(training, learned),
    pictures: training.pictures,
    activate: options.activate,
    count: (total) => count('writing', total),
  });
  options.logger.info({ product: bundle.product, version: bundle.version, warnings: bundle.warnings }, 'fitted');
  return bundle;
}

type Count = (phase: FitPhase, total: number) => (steps?: number) => void;

/** Starts a phase of `total` steps; each call of what it returns is one or more steps done. */
function progressCounter(progress: FitOptions['progress']): Count {
  return (phase, total) => {
    let done = 0;
    progress?.({ phase, done, total });
    return (steps = 1) => {
      done += steps;
      progress?.({ phase, done, total });
    };
  };
}

export type Training = Awaited<ReturnType<typeof extractTraining>>;

async function extractTraining(images: TrainingImage[], options: FitOptions, count: Count) {
  const { input, aspect } = chooseInput(images.map(({ size }) => size));
  const extraction = { compute: options.compute, input, maxImageBytes: options.maxImageBytes };
  const network = await chooseNetwork(options.network, images, extraction);
  options.logger.info({ product: options.product, images: images.length, input, network }, 'fitting');
  const extractor = await createPatchExtractor(network.kind, extraction);
  const features = await extractFeatures(images, extractor, extraction, count('features', images.length));
  const foldOf = foldsOf(features.images.length, settings.folds, options.seed);
  return { ...features, input, aspect, grid: gridOf(input), network, extractor, foldOf };
}

export type Learned = Awaited<ReturnType<typeof learn>>;

async function learn(training: Training, options: FitOptions, count: Count) {
  const { compute, seed } = options;
  const { input, grid, foldOf } = training;
  const patches = grid.height * grid.width;
  const projection = fitProjection(training.moments, bankDims);
  const projected = await projectFeatures(training.raw, projection, patches, compute);
  const concurrency = 2 * compute.threads;
  const defects = await extractDefects(options.defects ?? [], { ...training, concurrency, seed, count });
  const others = await projectFeatures(defects.raw, projection, patches, compute);

  const measuredIn = [...foldOf, ...defects.madeOn.map((image) => foldOf[image] ?? noFold)];
  const data = { projected, others, patches, dims: bankDims, foldOf: measuredIn };
  const onChosen = count('bank', bankRows * (settings.folds + 1));
  const { bank, distances } = await buildBanks(data, { ...settings, rows: bankRows, seed, compute, onChosen });
  const heldOutDistances = distances.slice(0, foldOf.length * patches);
  const statistics = positionStatistics(heldOutDistances, grid);
  const calibration = calibrate(heldOutDistances, statistics, input, grid, settings);

  const samples = defectSamples(training, defects, distances);
  const onFitted = count('classifier', classifierRidges.length);
  const classifier = await learnClassifier(samples, { seed, compute, onFitted });
  return {
    projection,
    bank,
    heldOutDistances,
    statistics,
    calibration,
    defects,
    classifier,
    risk: learnRisk(samples, seed),
  };
}
