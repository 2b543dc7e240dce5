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
import { buildBanks, noFold } from './memory-banks.js';
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
  const { foldOf, folds, grid } = training;
  const patches = grid.height * grid.width;
  const { projection, subspaceProjection, projected, subspaceVectors, defects } = await projectAll(training, context);
  assertEnoughDefects(context.threshold ?? robustRule, defects.labelled);

  const images = {
    ...{ projected, others: defects.projected, patches, dims: projection.bias.length },
    foldOf: [...foldOf, ...defects.madeOn.map((image) => foldOf[image] ?? noFold)],
  };
  const rowsOfBanks = [noFold, ...Array(folds).keys()].map((fold) =>
    recipe.bankRows(foldOf.reduce((sum, of) => sum + Number(of !== fold), 0) * patches),
  );
  const onChosen = count(
    'bank',
    rowsOfBanks.reduce((sum, rows) => sum + rows),
  );
  const { bankRows, score } = recipe;
  const spacing = recipe.spacing && isPositional(score);
  const wanted = { bankRows, spacing, reweighted: score === 'reweighted' };
  const banks = await buildBanks(images, { ...wanted, folds, seed, compute, onChosen });
  const basis = subspaceBasis(foldOf.length, seed);
  const secondTerm =
    subspaceProjection &&
    (await fitSecondTerm(
      { vectors: subspaceVectors!, projection: subspaceProjection, patches, foldOf, folds, basis },
      { compute, onFitted: count('subspace', secondTermTasks(folds)) },
    ));

  const samples = defectSamples(training, defects, banks.distances);
  const onFitted = count('classifier', classifierRidges.length);
  const classifier = await learnClassifier(samples, { seed, compute, onFitted });
  const risk = learnRisk(samples, seed);
  return {
    projection,
    bank: banks.bank,
    secondTerm,
    ...(await judge({ training, banks, defects, secondTerm, subspaceProjection }, context)),
    defects,
    classifier,
    risk,
  };
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

function keptPixels(pixels: readonly Uint8Array[]): Map<number, Uint8Array> {
  return new Map(
    [...pixels.entries()].filter(([image]) => (image * mostDefectImages) % pixels.length < mostDefectImages),
  );
}
