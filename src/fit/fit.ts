import type { Bundle, PartName } from '../shared/bundle.js';
import type { Compute } from '../shared/compute.js';
import type { Warning } from '../shared/contracts.js';
import type { Logger } from '../shared/logger.js';
import { type NetworkKind, networks, patchVectorLength } from '../shared/networks.js';
import type { NpyArray } from '../shared/npy.js';
import { gridOf } from '../shared/patchcore/score-graph.js';
import type { ObjectStore } from '../shared/store/object-store.js';
import { type BundleDraft, writeBundle } from './bundle-writer.js';
import { calibrate } from './calibration.js';
import { chooseNetwork } from './choose-network.js';
import { buildBanks } from './memory-banks.js';
import { chooseInput } from './network-input.js';
import { createPatchExtractor, extractFeatures, projectFeatures } from './patch-features.js';
import { positionStatistics } from './position-statistics.js';
import { fitProjection } from './projection.js';
import { assertEnoughImages, readHeaders, type TrainingImage, trainingWarnings } from './readable-images.js';
import type { TrainingSource } from './training-images.js';

/** Profile `fast`: the size of the memory bank. */
const bankRows = 8000;
const bankDims = 96;
const settings = { folds: 5, thresholdFactor: 2, topFraction: 0.03, mapSigma: 4 };

export type FitPhase = 'reading' | 'features' | 'bank' | 'writing';
export interface FitProgress {
  phase: FitPhase;
  done: number;
  total: number;
}

export interface FitOptions {
  /** Good images, in an order that is the same for every fit of them. */
  images: Iterable<TrainingSource> | AsyncIterable<TrainingSource>;
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
 * a projected memory bank, local spacing and position statistics. The same images and seed give the same bytes of every part,
 * for any number of threads.
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
  const bundle = await writeBundle({
    store: options.store,
    draft: draftOf(training, learned, options, trainingWarnings(training.images.length, skipped)),
    arrays: arraysOf(training, learned),
    pictures: training.pictures,
    activate: options.activate,
    count: (total) => count('writing', total),
  });
  options.logger.info({ product: bundle.product, version: bundle.version, warnings: bundle.warnings }, 'fitted');
  return bundle;
}

type Count = (phase: FitPhase, total: number) => () => void;

/** Starts a phase of `total` steps; each call of what it returns is a step done. */
function progressCounter(progress: FitOptions['progress']): Count {
  return (phase, total) => {
    let done = 0;
    progress?.({ phase, done, total });
    return () => progress?.({ phase, done: ++done, total });
  };
}

type Training = Awaited<ReturnType<typeof extractTraining>>;

async function extractTraining(images: TrainingImage[], options: FitOptions, count: Count) {
  const { input, aspect } = chooseInput(images.map(({ size }) => size));
  const extraction = { compute: options.compute, input, maxImageBytes: options.maxImageBytes };
  const network = await chooseNetwork(options.network, images, extraction);
  options.logger.info({ product: options.product, images: images.length, input, network }, 'fitting');
  const extractor = await createPatchExtractor(network.kind, extraction);
  const features = await extractFeatures(images, extractor, extraction, count('features', images.length));
  return { ...features, input, aspect, grid: gridOf(input), network };
}

type Learned = Awaited<ReturnType<typeof learn>>;

async function learn({ images, raw, moments, input, grid }: Training, { compute, seed }: FitOptions, count: Count) {
  const patches = grid.height * grid.width;
  const projection = fitProjection(moments, bankDims);
  const projected = await projectFeatures(raw, projection, patches, compute);
  const data = { projected, images: images.length, patches, dims: bankDims };
  const onBuilt = count('bank', settings.folds + 1);
  const { bank, heldOutDistances } = await buildBanks(data, { ...settings, rows: bankRows, seed, compute, onBuilt });
  const statistics = positionStatistics(heldOutDistances, grid);
  const calibration = calibrate(heldOutDistances, statistics, input, grid, settings);
  return { projection, bank, heldOutDistances, statistics, calibration };
}

function draftOf(
  training: Training,
  learned: Learned,
  { product, seed }: FitOptions,
  warnings: Warning[],
): BundleDraft {
  const { images, input, aspect, grid, network } = training;
  return {
    schema: 1,
    product,
    profile: 'fast',
    score: 'position',
    seed,
    network: { ...network, ...networks[network.kind] },
    input,
    aspect,
    grid,
    images: images.length,
    patches: images.length * grid.height * grid.width,
    rows: learned.bank.sources.length,
    dims: bankDims,
    ...learned.calibration,
    settings,
    trainingImages: images.map(({ source, size }) => ({ name: source.name, ...size })),
    formats: [...new Set(images.map(({ format }) => format))].sort(),
    warnings,
  };
}

function arraysOf({ images, grid }: Training, learned: Learned): Record<PartName, NpyArray> {
  const { projection, bank, statistics, heldOutDistances } = learned;
  const patches = grid.height * grid.width;
  const floats = (data: Float32Array, ...shape: number[]): NpyArray => ({ dtype: 'float32', shape, data });
  return {
    'projection-matrix': floats(projection.matrix, patchVectorLength, bankDims),
    'projection-bias': floats(projection.bias, bankDims),
    bank: floats(bank.rows, bank.sources.length, bankDims),
    spacing: floats(bank.spacing, bank.sources.length),
    sources: { dtype: 'int32', shape: [bank.sources.length], data: bank.sources },
    'position-means': floats(statistics.means, patches),
    'position-scales': floats(statistics.scales, patches),
    'held-out-distances': floats(heldOutDistances, images.length, patches),
  };
}
