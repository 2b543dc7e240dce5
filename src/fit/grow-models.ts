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
import { judge } from './learn.js';
import { buildBanks, type MemoryBanks, noFold, rowsOfBanks } from './memory-banks.js';
import { sharedFloats } from './projector.js';
import { learnRisk } from './risk-model.js';
import { secondTermTasks } from './second-term.js';

/** Everything that is learned, from what the base knows and the new images; see `growBundle`. */
export async function growModels(base: Base, added: AddedImages, context: GrowContext): Promise<Learned> {
  const { compute, recipe, count, maxImageBytes } = context;
  const { bundle } = base;
  const { seed } = bundle;
  const { projector, kept: pixels, foldOf, folds } = added;
  const defects = await extractMoreDefects(bundle, context.defects ?? [], {
    ...{ projector, maxImageBytes, pixels, foldOf, seed, count },
    concurrency: 2 * compute.threads,
    added: added.images.length,
  });
  const banks = await growBanks(base, added, defects, context);
  const secondTerm =
    base.subspace &&
    (await growSecondTerm(
      base.subspace,
      { vectors: added.subspaceVectors!, patches: patchesOf(base), foldOf, folds },
      { compute, onFitted: count('subspace', secondTermTasks(folds)) },
    ));

  const isOldDefectKept = defects.kind === bundle.classifier.defects;
  const samples = joinSamples(
    base.samples,
    defectSamples(added, defects, banks.distances),
    bundle.images,
    isOldDefectKept,
  );
  const onFitted = count('classifier', classifierRidges.length);
  const heldOut = { distances: heldOutDistances(base, added, banks.distances), reweightedScores: new Float64Array(0) };
  const images = { length: bundle.images + added.images.length };
  return {
    projection: base.projections.projection,
    bank: banks.bank,
    secondTerm,
    ...judge({ images, input: bundle.input, grid: bundle.grid }, recipe, heldOut, secondTerm),
    defects,
    samples,
    classifier: await learnClassifier(samples, { seed, compute, onFitted }),
    risk: learnRisk(samples, seed),
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
    { bankRows, spacing, reweighted: false, folds, seed, compute, onChosen },
  );
  const added = ofImages.length / dims;
  const sources = bank.sources.map((place) => (place < added ? bundle.patches + place : old.sources[place - added]!));
  return { bank: { ...bank, sources }, ...measured };
}

/** (N + n, P) */
function heldOutDistances({ bundle, heldOutDistances: old }: Base, { projected }: AddedImages, measured: Float32Array) {
  const patches = projected.length / bundle.dims;
  const joined = new Float32Array(old.length + patches);
  joined.set(old);
  joined.set(measured.subarray(0, patches), old.length);
  return joined;
}
