import { type Compute, threadTask } from '../shared/compute.js';
import { quantiseRows } from '../shared/kernels/quantise-rows.js';
import { createRandom } from '../shared/kernels/random.js';
import type { ResidualModel } from '../shared/patchcore/residual-graph.js';
import type { Projection } from '../shared/patchcore/score-graph.js';
import type { GramInput, GramOutput } from './gram-thread.js';
import type { ImageSubspace } from './image-subspace.js';
import { noFold } from './memory-banks.js';
import { sharedFloats } from './projector.js';
import type { ResidualInput, ResidualStatistics } from './residual-thread.js';
import type { SubspaceInput } from './subspace-thread.js';

export const gramTask = threadTask<GramInput, GramOutput>(new URL('./gram-thread.js', import.meta.url));
export const subspaceTask = threadTask<SubspaceInput, ImageSubspace>(new URL('./subspace-thread.js', import.meta.url));
export const residualTask = threadTask<ResidualInput, ResidualStatistics>(
  new URL('./residual-thread.js', import.meta.url),
);

/** Projected patch vectors of the training images. N images, P patches, d dimensions, K = P·d. */
export interface SecondTermInput {
  /** (N, P, d) in shared memory; the mean image is subtracted from it */
  vectors: Float32Array;
  projection: Projection;
  patches: number;
  /** (N) */
  foldOf: Int32Array;
  folds: number;
  /** Numbers of the images that the subspace is made from, see `subspaceBasis`. */
  basis: Int32Array;
}

export interface SecondTerm {
  model: ResidualModel;
  /** Images that the subspace was made from. */
  images: number;
  /** Mean squared distance of these images from their mean. */
  variance: number;
  /** (N, P) residual distance of each image by a model that has not seen it */
  heldOut: Float32Array;
}

export interface SecondTermOptions {
  compute: Compute;
  onFitted(): void;
}

/** Eigenvectors take time with the third power of the number of images. */
const largestBasis = 1000;

/** The images that a subspace is made from, in order: all, or of many a random thousand. */
export const subspaceBasis = (images: number, seed: number): Int32Array =>
  createRandom(seed).permutation(images).slice(0, largestBasis).sort();

/** Tasks that `fitSecondTerm` reports. */
export const secondTermTasks = (folds: number): number => 1 + 2 * (folds + 1);

/**
 * The second term of the score `fused`: the subspace of good images, and how their residuals vary at each position. Both are
 * learned again without each fold of images, to measure that fold with; a residual that its own subspace has seen would look
 * far too small.
 */
export async function fitSecondTerm(
  input: SecondTermInput,
  { compute, onFitted }: SecondTermOptions,
): Promise<SecondTerm> {
  const { vectors, projection, patches, foldOf, folds, basis } = input;
  const N = foldOf.length;
  const [K, dims] = [vectors.length / N, vectors.length / N / patches];
  const run: Compute['run'] = async (task, data) => {
    const output = await compute.run(task, data);
    onFitted();
    return output;
  };
  const { mean, gram } = await run(gramTask, { images: vectors, centred: true, K, basis });
  const [residuals, heldOut] = [sharedFloats(N * K), sharedFloats(N * patches)];
  const models = [noFold, ...Array(folds).keys()];
  const measuredBy = (model: number) => Int32Array.from(foldOf.keys()).filter((image) => foldOf[image] === model);
  const learnedBy = (model: number) => Int32Array.from(foldOf.keys()).filter((image) => foldOf[image] !== model);

  const fitSubspace = (model: number) => {
    const chosen = Int32Array.from(basis.keys()).filter((place) => foldOf[basis[place]!] !== model);
    return run(subspaceTask, { images: vectors, K, gram, basis, chosen, measured: measuredBy(model), residuals });
  };
  const [subspace] = await Promise.all(models.map(fitSubspace));

  const fitResiduals = (model: number) => {
    const [learned, measured] = [learnedBy(model), measuredBy(model)];
    return run(residualTask, { residuals, patches, dims, learned, measured, distances: heldOut });
  };
  const [statistics] = await Promise.all(models.map(fitResiduals)); // each learns from the residuals of all the others
  const model = modelOf(projection, mean, subspace!, statistics!);
  return { model, images: basis.length, variance: subspace!.variance, heldOut };
}

function modelOf(
  { matrix, bias }: Projection,
  mean: Float32Array,
  subspace: ImageSubspace,
  statistics: ResidualStatistics,
): ResidualModel {
  const offset = mean.map((value, k) => bias[k % bias.length]! - value);
  return residualModelOf(matrix, offset, subspace, statistics);
}

/** @param offset (P, d) what was added to the projected vectors before the subspace was fitted */
export function residualModelOf(
  matrix: Float32Array,
  offset: Float32Array,
  subspace: ImageSubspace,
  { means, whitening }: ResidualStatistics,
): ResidualModel {
  const { steps, scales } = quantiseRows(subspace.components, offset.length);
  return {
    matrix,
    offset: offset.map((value, k) => value - subspace.mean[k]!),
    components: steps,
    scales,
    shrinkage: subspace.shrinkage,
    means,
    whitening,
  };
}
