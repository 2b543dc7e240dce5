import { type BundleDraft, writeBundle } from '../../src/fit/bundle-writer.js';
import type { Bundle, PartName, SamplePartName, SubspacePartName } from '../../src/shared/bundle.js';
import { createRandom } from '../../src/shared/kernels/random.js';
import { featureChannels, networks, patchVectorLength } from '../../src/shared/networks.js';
import type { NpyArray } from '../../src/shared/npy.js';
import { layerWeights, subspaceVectorLength } from '../../src/shared/patchcore/residual-graph.js';
import type { ObjectStore } from '../../src/shared/store/object-store.js';
import { float32 } from './arrays.js';

/** A small bundle of made-up numbers: input 64 × 96, 24 patches, 5 training images, 30 bank rows of 8 dimensions. */
export const madeUp = { images: 5, positions: 24, rows: 30, dims: 8 };

export function madeUpDraft(changes: Partial<BundleDraft> = {}): BundleDraft {
  const { images, positions, rows, dims } = madeUp;
  return {
    schema: 2,
    product: 'plate',
    profile: 'fast',
    score: 'position',
    seed: 0,
    network: { kind: 'int8', featureError: null, ...networks.int8 },
    input: { height: 64, width: 96 },
    tiles: { rows: 1, columns: 1 },
    aspect: 1.5,
    grid: { height: 4, width: 6 },
    layers: ['stride16', 'stride32'],
    neighbourhood: 'inside',
    images,
    patches: images * positions,
    rows,
    dims,
    median: 1,
    spread: 0.5,
    threshold: 2,
    thresholdRule: { rule: 'robust' },
    oddImages: [],
    mapQuantile: 0.5,
    settings: { folds: 5, thresholdFactor: 2, topFraction: 0.03, mapSigma: 4 },
    classifier: { bias: -0.5, auroc: 0.75, weak: true, defects: 'synthetic', count: 100, ridge: 0.1 },
    risk: {
      kind: 'logistic',
      auroc: 0.9,
      weights: [1, 2, 0, -0.5, 0.25],
      bias: 0.5,
      means: [0.8, 1.2, 0.01, 0.06, 0.94],
      scales: [0.1, 0.3, 0.01, 0.05, 0.03],
      usual: [0.7, 1, 0.01, 0.05, 0.95],
      background: 3,
    },
    formats: ['png'],
    warnings: [],
    trainingImages: Array.from({ length: images }, (_, image) => ({ name: `${image}.png`, height: 100, width: 150 })),
    ...changes,
  };
}

function floats(value: () => number, ...shape: number[]): NpyArray {
  const length = shape.reduce((size, axis) => size * axis);
  return { dtype: 'float32', shape, data: float32(length, value) };
}

export function madeUpArrays(): Record<PartName, NpyArray> {
  const { images, positions, rows, dims } = madeUp;
  const random = createRandom(71);
  return {
    'projection-matrix': floats(() => 0.03 * random.normal(), patchVectorLength, dims),
    'projection-bias': floats(random.normal, dims),
    bank: floats(random.normal, rows, dims),
    spacing: floats(() => 0.5 + random.uniform(), rows),
    sources: { dtype: 'int32', shape: [rows], data: random.permutation(images * positions).slice(0, rows) },
    'position-means': floats(random.uniform, positions),
    'position-scales': floats(() => 0.1 + random.uniform(), positions),
    'held-out-distances': floats(random.uniform, images, positions),
    'classifier-weights': floats(() => 0.01 * random.normal(), featureChannels),
    'risk-background': { dtype: 'float64', shape: [3, 5], data: Float64Array.from({ length: 15 }, random.uniform) },
  };
}

/** What a bundle of the score `fused` has beside: a subspace of 3 components and 6 dimensions. */
export const madeUpSubspace = { dims: 6, rank: 3 };

export const madeUpFusedDraft: Partial<BundleDraft> = {
  score: 'fused',
  subspace: {
    layers: layerWeights,
    images: madeUp.images,
    ...madeUpSubspace,
    variance: 12,
    distanceScores: { median: 50, spread: 20 },
    residualScores: { median: 1, spread: 0.5 },
  },
};

export function madeUpSubspaceArrays(): Record<SubspacePartName, NpyArray> {
  const { images, positions } = madeUp;
  const { dims, rank } = madeUpSubspace;
  const random = createRandom(72);
  const components = Int8Array.from({ length: rank * positions * dims }, () => random.integer(127) - 63);
  return {
    'subspace-matrix': floats(() => 0.03 * random.normal(), subspaceVectorLength, dims),
    'subspace-offset': floats(random.normal, positions, dims),
    'subspace-components': { dtype: 'int8', shape: [rank, positions * dims], data: components },
    'subspace-scales': floats(() => 0.002 + 0.001 * random.uniform(), rank),
    'subspace-shrinkage': floats(random.uniform, rank),
    'residual-means': floats(random.normal, positions, dims),
    'residual-whitening': floats(random.normal, positions, dims, dims),
    'residual-position-means': floats(random.uniform, positions),
    'residual-position-scales': floats(() => 0.1 + random.uniform(), positions),
    'held-out-residuals': floats(random.uniform, images, positions),
  };
}

/** What classifier and risk model of the made-up bundle learned from: 5 good images and 100 defects. */
export function madeUpSampleArrays(): Record<SamplePartName, NpyArray> {
  const count = madeUp.images + 100;
  const random = createRandom(73);
  return {
    'sample-embeddings': floats(random.normal, count, featureChannels),
    'sample-features': {
      dtype: 'float64',
      shape: [count, 5],
      data: Float64Array.from({ length: 5 * count }, random.uniform),
    },
    'sample-groups': {
      dtype: 'int32',
      shape: [count],
      data: Int32Array.from({ length: count }, (_, sample) => sample % madeUp.images),
    },
  };
}

export interface MadeUpChanges {
  draft?: Partial<BundleDraft>;
  arrays?: Partial<Record<PartName, NpyArray>>;
  /** For a bundle of the score `fused`. */
  subspaceArrays?: Record<SubspacePartName, NpyArray>;
  sampleArrays?: Record<SamplePartName, NpyArray>;
}

/** Writes the made-up bundle, with other numbers where they are given. */
export function writeMadeUpBundle(
  store: ObjectStore,
  { draft = {}, arrays = {}, subspaceArrays, sampleArrays }: MadeUpChanges = {},
): Promise<Bundle> {
  return writeBundle({
    store,
    draft: madeUpDraft(draft),
    arrays: { ...madeUpArrays(), ...arrays },
    subspaceArrays,
    sampleArrays,
    pictures: Array.from({ length: madeUp.images }, (_, image) => Uint8Array.of(image)),
    activate: true,
    count: () => () => {},
  });
}
