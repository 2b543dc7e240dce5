import { CholeskyDecomposition, Matrix } from 'ml-matrix';
import { expectShape } from '../../shared/kernels/shape.js';

// n samples of d segments each, 1 for a segment that is shown and 0 for one that is hidden; T predictions of each sample.

export interface LocalModelOptions {
  /** Of the kernel, in cosine distances. */
  kernelWidth: number;
  /** Weight of Σ coefficient². */
  ridge: number;
}

/** The linear model that stands for the network around one image: prediction = intercept + Σ coefficient of what is shown. */
export interface LocalModel {
  /** (d) */
  coefficients: Float64Array;
  intercept: number;
  /** What it predicts where everything is shown. */
  prediction: number;
  /** Weighted share of the variance among the samples that it explains: 1 is all of it. */
  r2: number;
}

/** Cosine distance of each sample from the one that shows everything: 1 - √(shown / d); 1 where nothing is shown. */
export function cosineDistances(samples: Uint8Array, n: number, d: number): Float64Array<ArrayBuffer> {
  expectShape('samples', samples, { n, d });
  const distances = new Float64Array(n);
  for (let i = 0; i < n; i++) {
    let shown = 0;
    for (let k = 0; k < d; k++) shown += samples[i * d + k]!;
    distances[i] = 1 - Math.sqrt(shown / d);
  }
  return distances;
}

/** √exp(-distance² / width²): how much a sample counts. */
export const kernelWeights = (distances: Float64Array, width: number): Float64Array<ArrayBuffer> =>
  Float64Array.from(distances, (distance) => Math.exp(-(distance ** 2) / (2 * width ** 2)));

/**
 * LIME: ridge regression of the predictions on what is shown, each sample weighted by how near it is to the whole image; the
 * intercept is not penalised. (Ribeiro et al., arXiv:1602.04938, Eq. 1 and section 3.4, with a ridge in place of K-LASSO.)
 *
 * @param predictions T times (n)
 * @returns T models
 * @throws SHAPE_MISMATCH
 */
export function fitLocalModels(
  samples: Uint8Array,
  predictions: readonly Float64Array[],
  d: number,
  { kernelWidth, ridge }: LocalModelOptions,
): LocalModel[] {
  const n = samples.length / d;
  for (const each of predictions) expectShape('predictions', each, { n });
  const weights = kernelWeights(cosineDistances(samples, n, d), kernelWidth);
  const means = weightedMeans(samples, weights, d);
  // Centred, so that the intercept drops out; √weight on both sides of the product.
  const X = new Matrix(n, d);
  const Y = new Matrix(n, predictions.length);
  const predictionMeans = predictions.map((each) => weightedMeans(each, weights, 1)[0]!);
  for (let i = 0; i < n; i++) {
    const root = Math.sqrt(weights[i]!);
    for (let k = 0; k < d; k++) X.set(i, k, root * (samples[i * d + k]! - means[k]!));
    for (const [t, each] of predictions.entries()) Y.set(i, t, root * (each[i]! - predictionMeans[t]!));
  }
  const transposed = X.transpose();
  const normal = transposed.mmul(X).add(Matrix.eye(d, d, ridge));
  const solution = new CholeskyDecomposition(normal).solve(transposed.mmul(Y));
  const residuals = X.mmul(solution).sub(Y);
  return predictions.map((_, t) => {
    const coefficients = Float64Array.from(solution.getColumn(t));
    const intercept = predictionMeans[t]! - coefficients.reduce((sum, value, k) => sum + value * means[k]!, 0);
    const prediction = coefficients.reduce((sum, value) => sum + value, intercept);
    return { coefficients, intercept, prediction, r2: shareExplained(residuals.getColumn(t), Y.getColumn(t)) };
  });
}

/** Of each column of (n, d). */
function weightedMeans(values: ArrayLike<number>, weights: Float64Array, d: number): Float64Array {
  const sums = new Float64Array(d);
  let total = 0;
  for (let i = 0; i < weights.length; i++) {
    total += weights[i]!;
    for (let k = 0; k < d; k++) sums[k]! += weights[i]! * values[i * d + k]!;
  }
  return sums.map((sum) => sum / total);
}

/** Predictions that hardly differ, within rounding, are explained by the intercept. */
function shareExplained(residuals: readonly number[], centred: readonly number[]): number {
  const squares = (values: readonly number[]) => values.reduce((sum, value) => sum + value * value, 0);
  const spread = squares(centred);
  return spread > 1e-20 * centred.length ? 1 - squares(residuals) / spread : 1;
}
