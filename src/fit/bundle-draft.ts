import type { PartName, RiskTree, SamplePartName, SubspacePartName } from '../shared/bundle.js';
import type { Warning } from '../shared/contracts.js';
import type { BoostedTrees } from '../shared/kernels/boosted-trees.js';
import { featureNames } from '../shared/kernels/readable-features.js';
import { bankLayers, featureChannels, networks, patchVectorLength } from '../shared/networks.js';
import type { NpyArray } from '../shared/npy.js';
import { layerWeights, subspaceVectorLength } from '../shared/patchcore/residual-graph.js';
import type { BundleDraft } from './bundle-writer.js';
import { weakAuroc } from './classifier-head.js';
import type { FitContext, Learned as FittedModels, Training as TrainingFeatures } from './learn.js';
import { settings } from './profile.js';

/** What a bundle keeps of its training images, and of what was learned: from nothing, or by growing. */
type Training = Pick<TrainingFeatures, 'images' | 'input' | 'tiles' | 'aspect' | 'grid' | 'network' | 'folds'>;
export type Learned = Omit<FittedModels, 'defects'> & { defects: Pick<FittedModels['defects'], 'kind' | 'warnings'> };

/** What stands in bundle.json, apart from what its writer adds. */
export function draftOf(
  training: Training,
  learned: Learned,
  { product, seed, recipe }: Pick<FitContext, 'product' | 'seed' | 'recipe'>,
  warnings: Warning[],
): BundleDraft {
  const { images, input, tiles, aspect, grid, network, folds } = training;
  const { profile, score, neighbourhood } = recipe;
  return {
    schema: 2,
    ...{ product, profile, score, seed },
    network: { ...network, ...networks[network.kind] },
    ...{ input, tiles, aspect, grid },
    layers: [...bankLayers],
    neighbourhood,
    images: images.length,
    patches: images.length * grid.height * grid.width,
    rows: learned.bank.sources.length,
    dims: learned.projection.bias.length,
    ...learned.calibration,
    settings: { folds, ...settings },
    classifier: classifierOf(learned),
    risk: riskOf(learned.risk),
    subspace: subspaceOf(learned),
    trainingImages: images.map(({ source, size }) => ({ name: source.name, ...size })),
    formats: [...new Set(images.map(({ format }) => format))].sort(),
    warnings,
  };
}

function subspaceOf({ secondTerm, fusion }: Learned): BundleDraft['subspace'] {
  if (!secondTerm) return undefined;
  const { model, images, variance } = secondTerm;
  const dims = model.matrix.length / subspaceVectorLength;
  const { distanceScores, residualScores } = fusion!;
  return { layers: layerWeights, images, dims, rank: model.scales.length, variance, distanceScores, residualScores };
}

function classifierOf({ classifier, defects, samples }: Learned): BundleDraft['classifier'] {
  const { bias, auroc, ridge } = classifier;
  const count = samples.labels.reduce((sum, label) => sum + label, 0);
  return { bias, auroc, weak: auroc < weakAuroc, defects: defects.kind, count, ridge };
}

/** The risk model as bundle.json holds it. */
export function riskOf({ model, comparison, usual, background }: Learned['risk']): BundleDraft['risk'] {
  const { auroc } = comparison[model.kind];
  const common = { auroc, comparison, usual, background: background.length / featureNames.length };
  if (model.kind === 'forest') return { kind: 'forest', ...common, trees: treesOf(model) };
  const { kind, weights, bias, means, scales } = model;
  return { kind, ...common, weights: [...weights], bias, means: [...means], scales: [...scales] };
}

function treesOf({ features, thresholds, leaves }: BoostedTrees): RiskTree[] {
  return Array.from({ length: leaves.length / 4 }, (_, tree) => ({
    features: [...features.subarray(3 * tree, 3 * tree + 3)],
    thresholds: [...thresholds.subarray(3 * tree, 3 * tree + 3)],
    leaves: [...leaves.subarray(4 * tree, 4 * tree + 4)],
  }));
}

const floats = (data: Float32Array, ...shape: number[]): NpyArray => ({ dtype: 'float32', shape, data });

export function arraysOf({ images, grid }: Training, learned: Learned): Record<PartName, NpyArray> {
  const { projection, bank, position, heldOutDistances, classifier, risk } = learned;
  const features = featureNames.length;
  const patches = grid.height * grid.width;
  const [dims, rows] = [projection.bias.length, bank.sources.length];
  return {
    'projection-matrix': floats(projection.matrix, patchVectorLength, dims),
    'projection-bias': floats(projection.bias, dims),
    bank: floats(bank.rows, rows, dims),
    spacing: floats(bank.spacing, rows),
    sources: { dtype: 'int32', shape: [rows], data: bank.sources },
    'position-means': floats(position.means, patches),
    'position-scales': floats(position.scales, patches),
    'held-out-distances': floats(heldOutDistances, images.length, patches),
    'classifier-weights': floats(Float32Array.from(classifier.weights), featureChannels),
    'risk-background': {
      dtype: 'float64',
      shape: [risk.background.length / features, features],
      data: risk.background,
    },
  };
}

/** Of the score `fused`. */
export function subspaceArraysOf(
  { images, grid }: Training,
  { secondTerm, fusion }: Learned,
): Record<SubspacePartName, NpyArray> | undefined {
  if (!secondTerm) return undefined;
  const { model, heldOut } = secondTerm;
  const patches = grid.height * grid.width;
  const [dims, rank] = [model.offset.length / patches, model.scales.length];
  return {
    'subspace-matrix': floats(model.matrix, subspaceVectorLength, dims),
    'subspace-offset': floats(model.offset, patches, dims),
    'subspace-components': { dtype: 'int8', shape: [rank, patches * dims], data: model.components },
    'subspace-scales': floats(model.scales, rank),
    'subspace-shrinkage': floats(model.shrinkage, rank),
    'residual-means': floats(model.means, patches, dims),
    'residual-whitening': floats(model.whitening, patches, dims, dims),
    'residual-position-means': floats(fusion!.position.means, patches),
    'residual-position-scales': floats(fusion!.position.scales, patches),
    'held-out-residuals': floats(heldOut, images.length, patches),
  };
}

/** What growing adds to. */
export function sampleArraysOf({ samples }: Learned): Record<SamplePartName, NpyArray> {
  const { embeddings, features, groups } = samples;
  const count = groups.length;
  return {
    'sample-embeddings': floats(embeddings, count, featureChannels),
    'sample-features': { dtype: 'float64', shape: [count, featureNames.length], data: features },
    'sample-groups': { dtype: 'int32', shape: [count], data: groups },
  };
}
