import { shareFloats } from '../shared/compute.js';
import { invertLower } from '../shared/kernels/lower-triangular.js';

/** What is known of the residuals of N images. P patches, d dimensions. */
export interface ResidualMoments {
  /** N */
  images: number;
  /** (P, d), in shared memory */
  means: Float32Array;
  /** (P, d, d) sums of products about the means, in shared memory */
  scatter: Float32Array;
}

/** Weights, in images, of the mean over all positions and of the covariance pooled over them. */
export const [priorImages, pooledImages] = [10, 100];
/** Share of the mean variance that is added to every variance. */
export const ridge = 0.02;
/** Images that are all alike leave no residuals; covariances must be invertible all the same. */
export const smallestVariance = 1e-6;

/**
 * The moments that the statistics of residual-thread.ts were made from: these keep all of them, so that images can be added
 * without those that are in. With μ_p = (N b_p + 10 b) / (N + 10), b is the mean of μ_p over the positions; with
 * C_p = (S_p + 100 C0) / (N + 100) + ε I and C0 = Σ_p S_p / (N P), the mean of C_p is C0 + ε I; and S_p, about μ_p, is
 * N (b_p - μ_p)(b_p - μ_p)ᵀ more than the scatter about b_p.
 *
 * @param means (P, d) μ @param whitening (P, d, d) transposed inverse Cholesky factors L_p⁻ᵀ of C_p
 */
export function residualMomentsOf(means: Float32Array, whitening: Float32Array, images: number): ResidualMoments {
  const d = whitening.length / means.length;
  const P = means.length / d;
  const covariances = covariancesOf(whitening, P, d);
  const pooled = pooledCovariance(covariances, P, d);
  const ownMeans = unshrunk(means, images, d);
  const scatter = new Float32Array(covariances.length);
  for (let p = 0; p < P; p++) {
    for (let i = 0; i < d; i++) {
      const shift = ownMeans[p * d + i]! - means[p * d + i]!;
      for (let j = 0; j < d; j++) {
        const index = (p * d + i) * d + j;
        const added = pooled.added * Number(i === j);
        const aboutShrunk =
          (covariances[index]! - added) * (images + pooledImages) - pooledImages * pooled.covariance[i * d + j]!;
        scatter[index] = aboutShrunk - images * shift * (ownMeans[p * d + j]! - means[p * d + j]!);
      }
    }
  }
  return { images, means: shareFloats(Float32Array.from(ownMeans)), scatter: shareFloats(scatter) };
}

/** b (P, d) */
function unshrunk(means: Float32Array, images: number, d: number): Float64Array {
  const overall = new Float64Array(d);
  for (let k = 0; k < means.length; k++) overall[k % d]! += (means[k]! * d) / means.length;
  return Float64Array.from(
    means,
    (mean, k) => (mean * (images + priorImages) - priorImages * overall[k % d]!) / images,
  );
}

/** C (P, d, d) = L Lᵀ */
function covariancesOf(whitening: Float32Array, P: number, d: number): Float64Array {
  const covariances = new Float64Array(P * d * d);
  const inverse = new Float64Array(d * d);
  for (let p = 0; p < P; p++) {
    const offset = p * d * d;
    for (let i = 0; i < d; i++) for (let j = 0; j <= i; j++) inverse[i * d + j] = whitening[offset + j * d + i]!;
    const L = invertLower(inverse, d);
    for (let i = 0; i < d; i++) {
      for (let j = 0; j <= i; j++) {
        let sum = 0;
        for (let k = 0; k <= j; k++) sum += L[i * d + k]! * L[j * d + k]!;
        covariances[offset + i * d + j] = covariances[offset + j * d + i] = sum;
      }
    }
  }
  return covariances;
}

/** C0 (d, d), and ε: what was added to every variance. */
function pooledCovariance(covariances: Float64Array, P: number, d: number) {
  const covariance = new Float64Array(d * d);
  for (let index = 0; index < covariances.length; index++) covariance[index % (d * d)]! += covariances[index]! / P;
  let variance = 0;
  for (let i = 0; i < d; i++) variance += covariance[i * d + i]! / d;
  const added = Math.max((ridge / (1 + ridge)) * variance, smallestVariance);
  for (let i = 0; i < d; i++) covariance[i * d + i]! -= added;
  return { covariance, added };
}
