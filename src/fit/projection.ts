import { EigenvalueDecomposition, Matrix } from 'ml-matrix';
import { levelChannels, patchVectorLength } from '../shared/networks.js';
import type { Projection } from '../shared/patchcore/score-graph.js';

/** Sums over all patches of the training images, in float64. C = 328 channels of a raw patch vector. */
export interface Moments {
  count: number;
  /** (C) */
  sums: Float64Array;
  /** (C, C): sums of products */
  products: Float64Array;
}

export function createMoments(): Moments {
  const C = patchVectorLength;
  return { count: 0, sums: new Float64Array(C), products: new Float64Array(C * C) };
}

/** Adds one image's sums. The order of adding decides the last digits, so it must be that of the images. */
export function addMoments(moments: Moments, count: number, sums: Float32Array, products: Float32Array): void {
  moments.count += count;
  for (let index = 0; index < sums.length; index++) moments.sums[index]! += sums[index]!;
  for (let index = 0; index < products.length; index++) moments.products[index]! += products[index]!;
}

/**
 * The projection of raw patch vectors: each level is centred and scaled to total variance 1, so that both weigh the same, then
 * the `dims` largest principal components are taken without whitening. All of it is one matrix and a bias.
 */
export function fitProjection(moments: Moments, dims: number): Projection {
  const C = patchVectorLength;
  const means = moments.sums.map((sum) => sum / moments.count);
  const scales = levelScales(moments, means);
  const covariance = new Matrix(C, C);
  for (let i = 0; i < C; i++) {
    for (let j = 0; j < C; j++) {
      const product = moments.products[i * C + j]! / moments.count - means[i]! * means[j]!;
      covariance.set(i, j, product * scales[i]! * scales[j]!);
    }
  }
  const vectors = new EigenvalueDecomposition(covariance, { assumeSymmetric: true }).eigenvectorMatrix; // ascending
  const matrix = new Float32Array(C * dims);
  const bias = new Float32Array(dims);
  for (let dim = 0; dim < dims; dim++) {
    const component = withFixedSign(vectors.getColumn(C - 1 - dim));
    let offset = 0;
    for (let i = 0; i < C; i++) {
      matrix[i * dims + dim] = component[i]! * scales[i]!;
      offset -= means[i]! * component[i]! * scales[i]!;
    }
    bias[dim] = offset;
  }
  return { matrix, bias };
}

/** (C) 1 / √(total variance of the channel's level); 0 for a level that never varies. */
function levelScales({ count, products }: Moments, means: Float64Array): Float64Array {
  const C = patchVectorLength;
  const scales = new Float64Array(C);
  let from = 0;
  for (const channels of Object.values(levelChannels)) {
    let variance = 0;
    for (let i = from; i < from + channels; i++) variance += products[i * C + i]! / count - means[i]! ** 2;
    scales.fill(variance > 0 ? 1 / Math.sqrt(variance) : 0, from, from + channels);
    from += channels;
  }
  return scales;
}

/** An eigenvector's sign is arbitrary: the entry of largest magnitude is made positive, or machines would differ. */
function withFixedSign(component: number[]): number[] {
  const largest = component.reduce((best, value) => (Math.abs(value) > Math.abs(best) ? value : best), 0);
  return largest < 0 ? component.map((value) => -value) : component;
}
