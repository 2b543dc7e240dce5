import { threadTask } from '../shared/compute.js';
import type { ModelInput } from '../shared/model-input.js';
import { bankLayers } from '../shared/networks.js';
import { isPositional } from '../shared/patchcore/image-score.js';
import { gridOf } from '../shared/patchcore/patch-vectors.js';
import { layerWeights, subspaceLayers } from '../shared/patchcore/residual-graph.js';
import type { Projection } from '../shared/patchcore/score-graph.js';
import { chooseNetwork } from './choose-network.js';
import { classifierRidges, learnClassifier } from './classifier-head.js';
import { extractDefects } from './defect-images.js';
import { defectSamples } from './defect-samples.js';
import { findDuplicates, foldsOfDistinct } from './duplicates.js';
import type { Count, FitOptions } from './fit.js';
import { judge } from './judge.js';
import { buildBanks, noFold, rowsOfBanks } from './memory-banks.js';
import { chooseInput, oneTile } from './network-input.js';
import { extractFeatures } from './patch-features.js';
import type { Recipe } from './profile.js';
import type { WeightedLayer } from './projection.js';
import type { ProjectionInput } from './projection-thread.js';
import { createProjector, type Projections } from './projector.js';
import type { TrainingImage } from './readable-images.js';
import { learnRisk } from './risk-model.js';
import { fitSecondTerm, secondTermTasks, subspaceBasis } from './second-term.js';
import { assertEnoughDefects, robustRule } from './threshold.js';

export interface FitContext extends FitOptions {
  recipe: Recipe;
  count: Count;
}

export type Training = Awaited<ReturnType<typeof extractTraining>>;

/** The first look at the training images. */
export async function extractTraining(all: TrainingImage[], { recipe, count, ...options }: FitContext) {
  const { compute, maxImageBytes, product, seed, logger, region, tiles = oneTile } = options;
  const chosen = chooseInput(
    all.map(({ size }) => size),
    recipe.side,
    tiles,
  );
  const { aspect } = chosen;
  const input: ModelInput = region ? { ...chosen.input, region } : chosen.input;
  const extraction = { compute, input, maxImageBytes };
  const { neighbourhood } = recipe;
  const network = await chooseNetwork(recipe.network, all, neighbourhood, extraction);
  logger.info({ product, images: all.length, input, network }, 'fitting');
  const form = { layers: recipe.score === 'fused' ? subspaceLayers : bankLayers, neighbourhood };
  const onExtracted = count('features', all.length);
  const features = await extractFeatures(all, network.kind, form, extraction, onExtracted);
  const firstOf = findDuplicates(features.pixels, input);
  const held = foldsOfDistinct(firstOf, seed);
  return { ...features, input, tiles, aspect, grid: gridOf(input), network, firstOf, ...held };
}

export type Learned = Awaited<ReturnType<typeof learn>>;

export async function learn(training: Training, context: FitContext) {
  const { recipe, compute, seed, count } = context;
  const all = await projectAll(training, context);
  const { projection, subspaceProjection, defects } = all;
  assertEnoughDefects(context.threshold ?? robustRule, defects.labelled);
  const { banks, secondTerm } = await measureAll(training, all, context);

  const inGood = banks.distances.length - defects.madeOn.length * training.grid.height * training.grid.width;
  const samples = defectSamples(training, defects, banks.distances);
  const onFitted = count('classifier', classifierRidges.length);
  const classifier = await learnClassifier(samples, { seed, compute, onFitted });
  const found = {
    ...{ input: training.input, grid: training.grid, bank: banks.bank },
    distances: banks.distances.slice(0, inGood),
    reweightedScores: banks.reweightedScores.slice(0, training.images.length),
    ...{ defects, defectDistances: banks.distances.slice(inGood), secondTerm, subspaceProjection },
  };
  return {
    projection,
    bank: banks.bank,
    secondTerm,
    ...(await judge(found, { ...context, score: recipe.score })),
    defects,
    samples,
    classifier,
    risk: learnRisk(samples, seed),
  };
}

/** The memory banks and the second term, and what they say of images that they have not seen. */
async function measureAll(
  { foldOf, folds, grid }: Training,
  { projection, subspaceProjection, projected, subspaceVectors, defects }: Awaited<ReturnType<typeof projectAll>>,
  { recipe, compute, seed, count }: FitContext,
) {
  const patches = grid.height * grid.width;
  const { bankRows, score } = recipe;
  const banks = await buildBanks(
    {
      ...{ projected, others: defects.projected, patches, dims: projection.bias.length },
      foldOf: [...foldOf, ...defects.madeOn.map((image) => foldOf[image] ?? noFold)],
    },
    {
      ...{ bankRows, folds, seed, compute, reweighted: score === 'reweighted' },
      spacing: recipe.spacing && isPositional(score),
      onChosen: count('bank', rowsOfBanks(bankRows, foldOf, { folds, patches })),
    },
  );
  const basis = subspaceBasis(foldOf.length, seed);
  const secondTerm =
    subspaceProjection &&
    (await fitSecondTerm(
      { vectors: subspaceVectors!, projection: subspaceProjection, patches, foldOf, folds, basis },
      { compute, onFitted: count('subspace', secondTermTasks(folds)) },
    ));
  return { banks, secondTerm };
}

/** Learns the projections and looks again, at the training images and at those of defects. */
async function projectAll(training: Training, { recipe, compute, maxImageBytes, defects, seed, count }: FitContext) {
  const { input, network, pixels, foldOf, images } = training;
  const projections = await fitProjections(training, recipe, compute);
  const projector = await createProjector(network.kind, projections, { compute, input });
  const kept = keptPixels(pixels);
  const projected = await projector.project(pixels, count('projection', images.length));
  const extraction = { projector, concurrency: 2 * compute.threads, maxImageBytes, pixels: kept, foldOf, seed, count };
  return { ...projections, ...projected, defects: await extractDefects(defects ?? [], extraction) };
}

const projectionTask = threadTask<ProjectionInput, Projection>(new URL('./projection-thread.js', import.meta.url));

async function fitProjections(
  { moments }: Training,
  recipe: Recipe,
  compute: FitContext['compute'],
): Promise<Projections> {
  const { dims, subspaceDims, neighbourhood, score } = recipe;
  const learnFrom = (weighted: readonly WeightedLayer[], components: number | null) =>
    compute.run(projectionTask, { moments, weighted, dims: components });
  const [projection, subspaceProjection] = await Promise.all([
    learnFrom(
      bankLayers.map((name) => [name, 1]),
      dims,
    ),
    score === 'fused'
      ? learnFrom(
          subspaceLayers.map((name) => [name, layerWeights[name]]),
          subspaceDims,
        )
      : undefined,
  ]);
  return { neighbourhood, projection, subspaceProjection };
}

/** On so many images, spread over all, defects are made. */
const mostDefectImages = 300;

export function keptPixels(pixels: readonly Uint8Array[]): Map<number, Uint8Array> {
  return new Map(
    [...pixels.entries()].filter(([image]) => (image * mostDefectImages) % pixels.length < mostDefectImages),
  );
}
