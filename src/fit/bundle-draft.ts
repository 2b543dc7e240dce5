import type { PartName } from '../shared/bundle.js';
import type { Warning } from '../shared/contracts.js';
import { featureNames } from '../shared/kernels/readable-features.js';
import { featureChannels, networks, patchVectorLength } from '../shared/networks.js';
import type { NpyArray } from '../shared/npy.js';
import type { BundleDraft } from './bundle-writer.js';
import { weakAuroc } from './classifier-head.js';
import type { FitOptions, Learned, Training } from './fit.js';
import { bankDims, settings } from './profile.js';

/** What stands in bundle.json, apart from what its writer adds. */
export function draftOf(
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
    classifier: classifierOf(learned),
    risk: riskOf(learned),
    trainingImages: images.map(({ source, size }) => ({ name: source.name, ...size })),
    formats: [...new Set(images.map(({ format }) => format))].sort(),
    warnings,
  };
}

function classifierOf({ classifier, defects }: Learned): BundleDraft['classifier'] {
  const { bias, auroc, ridge } = classifier;
  return { bias, auroc, weak: auroc < weakAuroc, defects: defects.kind, count: defects.madeOn.length, ridge };
}

function riskOf({ risk: { model, auroc, usual, background } }: Learned): BundleDraft['risk'] {
  const { weights, bias, means, scales } = model;
  return {
    auroc,
    weights: [...weights],
    bias,
    means: [...means],
    scales: [...scales],
    usual,
    background: background.length / featureNames.length,
  };
}

export function arraysOf({ images, grid }: Training, learned: Learned): Record<PartName, NpyArray> {
  const { projection, bank, statistics, heldOutDistances, classifier, risk } = learned;
  const features = featureNames.length;
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
    'classifier-weights': floats(Float32Array.from(classifier.weights), featureChannels),
    'risk-background': {
      dtype: 'float64',
      shape: [risk.background.length / features, features],
      data: risk.background,
    },
  };
}
