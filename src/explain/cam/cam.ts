import { expectShape } from '../../shared/kernels/shape.js';
import { weightedSum } from './weighted-sum.js';

/**
 * Class activation mapping: Σ_c w_c A_c, where w are the weights of the class in the one linear layer that follows the global
 * average pooling of A; no bias, no ReLU. (Zhou et al., arXiv:1512.04150, Eq. 2.)
 *
 * @param activations A (C, h, w)
 * @param weights (C)
 * @returns (h, w), signed
 * @throws SHAPE_MISMATCH
 */
export function classActivationMap(
  activations: Float32Array,
  weights: Float64Array,
  C: number,
  h: number,
  w: number,
): Float32Array<ArrayBuffer> {
  expectShape('activations', activations, { C, h, w });
  expectShape('weights', weights, { C });
  return weightedSum(activations, weights, h, w);
}
