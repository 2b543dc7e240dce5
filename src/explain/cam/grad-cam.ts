import { expectShape } from '../../shared/kernels/shape.js';
import type { ClassActivationMap } from './grad-cam-plus-plus.js';
import { weightedSum } from './weighted-sum.js';

/**
 * Grad-CAM: the weight of a channel is the mean of its gradient, its map Σ_c weight_c A_c before ReLU.
 * (Selvaraju et al., arXiv:1610.02391, Eq. 1 and 2.)
 *
 * @param activations A (C, h, w)
 * @param gradients dS / dA (C, h, w)
 * @throws SHAPE_MISMATCH
 */
export function gradCam(
  activations: Float32Array,
  gradients: Float32Array,
  C: number,
  h: number,
  w: number,
): ClassActivationMap {
  expectShape('activations', activations, { C, h, w });
  expectShape('gradients', gradients, { C, h, w });
  const channelWeights = new Float64Array(C);
  for (let i = 0; i < gradients.length; i++) channelWeights[Math.floor(i / (h * w))]! += gradients[i]! / (h * w);
  return { map: weightedSum(activations, channelWeights, h, w), channelWeights };
}
