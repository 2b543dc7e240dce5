import { type Compute, threadTask } from '../shared/compute.js';
import { quantiseRows } from '../shared/kernels/quantise-rows.js';
import { createRandom } from '../shared/kernels/random.js';
import type { ResidualModel } from '../shared/patchcore/residual-graph.js';
import type { Projection } from '../shared/patchcore/score-graph.js';
import type { GramInput, GramOutput } from './gram-thread.js';
import type { ImageSubspace } from './image-subspace.js';
import { sharedFloats } from './projector.js';
import type { ResidualInput, ResidualStatistics } from './residual-thread.js';
import type { SubspaceInput } from './subspace-thread.js';

export const gramTask = threadTask<GramInput, GramOutput>(new URL('./gram-thread.js', import.meta.url));
export const subspaceTask = threadTask<SubspaceInput, ImageSubspace>(new URL('./subspace-thread.js', import.meta.url));
export const residualTask = threadTask<ResidualInput, ResidualStatistics>(
  new URL('./residual-thread.js', import.meta.url),
);

/** Images that a subspace is made from: its eigenvectors take time with the third power of their number. */
const largestBasis = 1000;

/** Projected patch vectors of the training images. N images, P patches, d dimensions, K = P·d. */
export interface SecondTermInput {
  /** (N, P, d) in shared memory; the mean image is subtracted from it */
  vectors: Float32Array;
  projection: Projection;
  patches: number;
  /** (N) */
  foldOf: Int32Array;
  folds: number;
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
  seed: number;
  compute: Compute;
  onFitted(): void;
}

/** Tasks that `fitSecondTerm` reports. */
export const secondTermTasks = (folds: number): number => 1 + 2 * (folds + 1);

/**
 * The second term of the score `fused`: the subspace of good images, and how their residuals vary at each position. Both are
 * learned again without each fold of images, to measure that fold with; a residual that its own subspace has seen would look
 * far too small.
 */
export async function fitSecondTerm(
  input: SecondTermInput,
  { seed, compute, onFitted }: SecondTermOptions,
): Promise<SecondTerm> {
  const { vectors, projection, patches, foldOf, folds } = input;
  const N = foldOf.length;
  const K = vectors.length / N;
  const run: Compute['run'] = async (task, data) => {
    const output = await compute.run(task, data);
    onFitted();
    return output;
  };
  const basis = createRandom(seed).permutation(N).slice(0, largestBasis).sort();
  const { mean, gram } = await run(gramTask, { images: vectors, centred: true, K, basis });
  const [heldOut, residuals] = [sharedFloats(N * patches), sharedFloats(N * K)];
  const parts = [undefined, ...Array(folds).keys()];
  const without = (fold: number | undefined, images: Int32Array) =>
    images.filter((_, place) => foldOf[images[place]!] !== fold);
  const inFold = (fold: number | undefined) => Int32Array.from(foldOf.keys()).filter((image) => foldOf[image] === fold);

  const [subspace] = await Promise.all(
    parts.map((fold) => {
      const chosen = Int32Array.from(basis.keys()).filter((place) => foldOf[basis[place]!] !== fold);
      return run(subspaceTask, { images: vectors, K, gram, basis, chosen, measured: inFold(fold), residuals });
    }),
  );
  const all = Int32Array.from(foldOf.keys());
  const [statistics] = await Promise.all(
    parts.map((fold) => {
      const learned = without(fold, all);
      const dims = K / patches;
      return run(residualTask, { residuals, patches, dims, learned, measured: inFold(fold), distances: heldOut });
    }),
  );
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
