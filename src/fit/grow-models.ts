import { isPositional } from '../shared/patchcore/image-score.js';
import type { Learned } from './bundle-draft.js';
import { classifierRidges, learnClassifier } from './classifier-head.js';
import type { DefectFeatures } from './defect-images.js';
import { defectSamples } from './defect-samples.js';
import type { GrowContext } from './grow.js';
import type { Base } from './grow-base.js';
import type { AddedImages } from './grow-images.js';
import { extractMoreDefects, joinSamples } from './grow-samples.js';
import { growSecondTerm } from './grow-second-term.js';
import { judge } from './judge.js';
import { buildBanks, type MemoryBanks, noFold, rowsOfBanks } from './memory-banks.js';
import { sharedFloats } from './projector.js';
import { learnRisk } from './risk-model.js';
import { secondTermTasks } from './second-term.js';
import { assertEnoughDefects } from './threshold.js';

/** Everything that is learned, from what the base knows and the new images; see `growBundle`. */
export async function growModels(
  base: Base,
  added: AddedImages,
  context: GrowContext,
): Promise<Learned & { knownDefects: string[] }> {
  const { compute, recipe, threshold, count, maxImageBytes } = context;
  const { bundle, projections } = base;
  const { seed, input, grid, classifier: before } = bundle;
  const { projector, kept: pixels, foldOf, folds } = added;
  const defects = await extractMoreDefects(base, context.defects ?? [], {
    ...{ projector, maxImageBytes, pixels, foldOf, seed, count },
    concurrency: 2 * compute.threads,
    added: added.images.length,
  });
  assertEnoughDefects(threshold, defects.labelled);
  const banks = await growBanks(base, added, defects, context);
  const secondTerm =
    base.subspace &&
    (await growSecondTerm(
      base.subspace,
      { vectors: added.subspaceVectors!, patches: patchesOf(base), foldOf, folds },
      { compute, onFitted: count('subspace', secondTermTasks(folds)) },
    ));

  const addedSamples = defectSamples(added, defects, banks.distances);
  const samples = joinSamples(base.samples, addedSamples, bundle.images, defects.kind === before.defects);
  const onFitted = count('classifier', classifierRidges.length);
  const classifier = await learnClassifier(samples, { seed, compute, onFitted });
  const found = {
    ...{ input, grid, defects, secondTerm, bank: banks.bank, subspaceProjection: projections.subspaceProjection },
    ...heldOutOf(base, added, banks),
  };
  return {
    projection: projections.projection,
    bank: banks.bank,
    secondTerm,
    ...(await judge(found, { score: recipe.score, threshold, seed, compute })),
    defects,
    samples,
    classifier,
    risk: learnRisk(samples, seed),
    knownDefects: defects.known,
  };
}

const patchesOf = ({ bundle: { grid } }: Base): number => grid.height * grid.width;

/** The bank and what it says of the new images; `sources` name old images by their old numbers and new ones after them. */
async function growBanks(
  base: Base,
  { projected: ofImages, foldOf: foldOfImages, folds }: AddedImages,
  { projected: others, madeOn }: DefectFeatures,
  { recipe, compute, count }: GrowContext,
): Promise<MemoryBanks> {
  const { bundle, bank: old } = base;
  const { dims, seed } = bundle;
  const { bankRows, score } = recipe;
  const patches = patchesOf(base);
  const projected = sharedFloats(ofImages.length + old.rows.length);
  projected.set(ofImages);
  projected.set(old.rows, ofImages.length);
  const earlier = { rows: bundle.rows, patches: bundle.patches };
  const foldOf = [...foldOfImages, ...madeOn.map((image) => foldOfImages[image] ?? noFold)];
  const onChosen = count('bank', rowsOfBanks(bankRows, foldOfImages, { folds, patches, earlier }));
  const spacing = recipe.spacing && isPositional(score);
  const { bank, ...measured } = await buildBanks(
    { projected, earlier, others, patches, dims, foldOf },
    { bankRows, spacing, reweighted: score === 'reweighted', folds, seed, compute, onChosen },
  );
  const added = ofImages.length / dims;
  const sources = bank.sources.map((place) => (place < added ? bundle.patches + place : old.sources[place - added]!));
  return { bank: { ...bank, sources }, ...measured };
}

/** What was measured of the old images when they came, and of the new ones now. */
function heldOutOf({ bundle, heldOutDistances }: Base, { images }: AddedImages, banks: MemoryBanks) {
  const old = heldOutDistances.length;
  const added = (images.length * old) / bundle.images;
  const distances = new Float32Array(old + added);
  distances.set(heldOutDistances);
  distances.set(banks.distances.subarray(0, added), old);
  const scores = bundle.heldOut!;
  return {
    distances,
    reweightedScores: Float64Array.from([...scores.good, ...banks.reweightedScores.subarray(0, images.length)]),
    defectDistances: banks.distances.slice(added),
    earlierDefects: scores.defects,
  };
}
