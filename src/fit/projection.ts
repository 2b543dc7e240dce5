import { EigenvalueDecomposition, Matrix } from 'ml-matrix';
import { type LayerName, layers } from '../shared/networks.js';
import type { Projection } from '../shared/patchcore/score-graph.js';

/** Sums over all patches of the training images, in float64. C channels of a raw patch vector. */
export interface Moments {
  count: number;
  /** (C) */
  sums: Float64Array;
  /** (C, C): sums of products */
  products: Float64Array;
}

export function createMoments(C: number): Moments {
  return { count: 0, sums: new Float64Array(C), products: new Float64Array(C * C) };
}

/** Adds one image's sums. The order of adding decides the last digits, so it must be that of the images. */
export function addMoments(moments: Moments, count: number, sums: Float32Array, products: Float32Array): void {
  moments.count += count;
  for (let index = 0; index < sums.length; index++) moments.sums[index]! += sums[index]!;
  for (let index = 0; index < products.length; index++) moments.products[index]! += products[index]!;
}

/** A layer of the network and how much it weighs. */
export type WeightedLayer = readonly [name: LayerName, weight: number];

/**
 * The projection of raw patch vectors: each layer is centred and scaled to a total variance of its squared weight, so that
 * layers of equal weight count the same, then the `dims` largest principal components are taken without whitening, or, where
 * `dims` is null, nothing more is done. All of it is one matrix and a bias.
 *
 * @param moments of vectors that begin with these layers
 */
export function fitProjection(moments: Moments, weighted: readonly WeightedLayer[], dims: number | null): Projection {
  const C = weighted.reduce((sum, [name]) => sum + layers[name].channels, 0);
  const stride = moments.sums.length;
  const means = moments.sums.subarray(0, C).map((sum) => sum / moments.count);
  const scales = layerScales(moments, means, weighted);
  const covariance = new Matrix(C, C);
  for (let i = 0; i < C; i++) {
    for (let j = 0; j < C; j++) {
      const product = moments.products[i * stride + j]! / moments.count - means[i]! * means[j]!;
      covariance.set(i, j, product * scales[i]! * scales[j]!);
    }
  }
  const components = dims === null ? unitVectors(C) : principalComponents(covariance, dims);
  const matrix = new Float32Array(C * components.length);
  const bias = new Float32Array(components.length);
  for (const [dim, component] of components.entries()) {
    let offset = 0;
    for (let i = 0; i < C; i++) {
      matrix[i * components.length + dim] = component[i]! * scales[i]!;
      offset -= means[i]! * component[i]! * scales[i]!;
    }
    bias[dim] = offset;
  }
  return { matrix, bias };
}

/** (C) weight / √(total variance of the channel's layer); 0 for a layer that never varies. */
function layerScales({ count, sums, products }: Moments, means: Float64Array, weighted: readonly WeightedLayer[]) {
  const scales = new Float64Array(means.length);
  const stride = sums.length;
  let from = 0;
  for (const [name, weight] of weighted) {
    const to = from + layers[name].channels;
    let variance = 0;
    for (let i = from; i < to; i++) variance += products[i * stride + i]! / count - means[i]! ** 2;
    scales.fill(variance > 0 ? weight / Math.sqrt(variance) : 0, from, to);
    from = to;
  }
  return scales;
}

const unitVectors = (C: number): number[][] =>
  Array.from({ length: C }, (_, i) => Array.from({ length: C }, (_, j) => (i === j ? 1 : 0)));

/** The eigenvectors of the `count` largest eigenvalues, largest first, with fixed signs. */
function principalComponents(covariance: Matrix, count: number): number[][] {
  const vectors = new EigenvalueDecomposition(covariance, { assumeSymmetric: true }).eigenvectorMatrix; // ascending
  return Array.from({ length: count }, (_, dim) => withFixedSign(vectors.getColumn(covariance.rows - 1 - dim)));
}

/** An eigenvector's sign is arbitrary: the entry of largest magnitude is made positive, or machines would differ. */
export function withFixedSign(component: number[]): number[] {
  const largest = component.reduce((best, value) => (Math.abs(value) > Math.abs(best) ? value : best), 0);
  return largest < 0 ? component.map((value) => -value) : component;
}
