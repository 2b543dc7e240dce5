import type { Compute } from '../shared/compute.js';
import type { BaseSubspace } from './grow-base.js';
import { type EarlierImages, shrinkageRidge } from './image-subspace.js';
import { sharedFloats } from './projector.js';
import { residualMomentsOf } from './residual-moments.js';
import { gramTask, residualModelOf, residualTask, type SecondTerm, subspaceTask } from './second-term.js';

/** Images that are added to a subspace. n images, P patches, d dimensions, K = P·d. */
export interface AddedVectors {
  /** (n, K) in shared memory: projected without a bias */
  vectors: Float32Array;
  patches: number;
  /** (n) */
  foldOf: Int32Array;
  folds: number;
}

/**
 * The second term of the images of a bundle and of new ones. The old images are not looked at: their scatter is
 * Σ e_k E_kᵀ E_k with e_k = λ c_k / (1 - c_k) and λ = 0.03 of their variance, to which the new images are added (incremental
 * principal components: Levy and Lindenbaum 2000), and the moments of their residuals are in the statistics (residual-moments.ts).
 * What the new images leave, and how far that is, is measured without each fold of them in turn.
 *
 * @returns `heldOut` (N + n, P): of the old images as it was
 */
export async function growSecondTerm(
  base: BaseSubspace,
  { vectors, patches, foldOf, folds }: AddedVectors,
  { compute, onFitted }: { compute: Compute; onFitted(): void },
): Promise<SecondTerm> {
  const n = foldOf.length;
  const K = base.offset.length;
  const run: Compute['run'] = async (task, data) => {
    const output = await compute.run(task, data);
    onFitted();
    return output;
  };
  const { rows, earlier } = rowsOf(base, vectors, n);
  const basis = Int32Array.from({ length: rows.length / K }, (_, row) => row);
  const { gram } = await run(gramTask, { images: rows, centred: false, K, basis });
  const [distances, residuals] = [sharedFloats(n * patches), sharedFloats(n * K)];
  const parts = [undefined, ...Array(folds).keys()];
  const all = Int32Array.from(foldOf.keys());
  const inFold = (fold: number | undefined) => all.filter((image) => foldOf[image] === fold);

  const [subspace] = await Promise.all(
    parts.map((fold) => {
      const chosen = basis.filter((row) => row >= n || foldOf[row] !== fold);
      return run(subspaceTask, { images: rows, K, gram, basis, chosen, earlier, measured: inFold(fold), residuals });
    }),
  );
  const moments = residualMomentsOf(base.means, base.whitening, base.heldOut.length / patches);
  const [statistics] = await Promise.all(
    parts.map((fold) => {
      const learned = all.filter((image) => foldOf[image] !== fold);
      const dims = K / patches;
      return run(residualTask, {
        ...{ residuals, patches, dims, learned, distances },
        measured: inFold(fold),
        earlier: moments,
      });
    }),
  );
  const heldOut = new Float32Array(base.heldOut.length + distances.length);
  heldOut.set(base.heldOut);
  heldOut.set(distances, base.heldOut.length);
  const model = residualModelOf(base.matrix, base.offset, subspace!, statistics!);
  return { model, images: base.images + n, variance: subspace!.variance, heldOut };
}

/** (n + r, K) in shared memory: the new images about the mean of the old ones, then the rows √e_k E_k that stand for these. */
function rowsOf({ offset, components, shrinkage, images, variance }: BaseSubspace, vectors: Float32Array, n: number) {
  const K = offset.length;
  const rows = sharedFloats(vectors.length + components.length);
  for (let index = 0; index < vectors.length; index++) rows[index] = vectors[index]! + offset[index % K]!;
  for (const [k, c] of shrinkage.entries()) {
    const length = Math.sqrt((shrinkageRidge * variance * c) / (1 - c));
    for (let index = k * K; index < (k + 1) * K; index++) rows[vectors.length + index] = length * components[index]!;
  }
  const earlier: EarlierImages = { count: images, firstRow: n, variance };
  return { rows, earlier };
}
