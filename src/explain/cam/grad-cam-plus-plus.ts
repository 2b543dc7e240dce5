import { expectShape } from '../../shared/kernels/shape.js';
import { weightedSum } from './weighted-sum.js';

// Activations A and gradients g of one layer are (C, h, w), of one image.

export interface ClassActivationMap {
  /** (h, w), signed: before any ReLU. */
  map: Float32Array<ArrayBuffer>;
  /** (C): how much each channel speaks for the class. */
  channelWeights: Float64Array<ArrayBuffer>;
}

/**
 * Grad-CAM++ in closed form: Eq. 19 of Chattopadhyay et al., arXiv:1710.11063, for the class score S put through exp.
 *
 * α = g² / (2 g² + (Σ A) g³), where Σ A is the plain signed sum over all positions of the channel; the weight of a channel is
 * Σ α relu(g), its map Σ_c weight_c A_c. The numerator is divided out, α = 1 / (2 + (Σ A) g), which is the same wherever g is
 * not 0; where the denominator is 0, so is α.
 *
 * @param gradients dS / dA
 * @throws SHAPE_MISMATCH
 */
export function gradCamPlusPlus(
  activations: Float32Array,
  gradients: Float32Array,
  C: number,
  h: number,
  w: number,
): ClassActivationMap {
  expectShape('activations', activations, { C, h, w });
  expectShape('gradients', gradients, { C, h, w });
  const channelWeights = new Float64Array(C);
  for (let c = 0; c < C; c++) {
    const sum = sumOfChannel(activations, c, h * w);
    for (let i = c * h * w; i < (c + 1) * h * w; i++) {
      const g = gradients[i]!;
      const denominator = 2 + sum * g;
      if (g > 0 && denominator !== 0) channelWeights[c]! += g / denominator;
    }
  }
  return { map: weightedSum(activations, channelWeights, h, w), channelWeights };
}

/**
 * The same for a layer followed by global average pooling and a linear score: the gradient is then weights[c] / (h w) at every
 * position of a channel, so that no backward pass is needed and a channel's weight becomes relu(w) / (2 + w · mean A).
 *
 * @param weights (C), of the class, applied to the means of the channels
 * @throws SHAPE_MISMATCH
 */
export function pooledLinearGradCamPlusPlus(
  activations: Float32Array,
  weights: Float32Array | Float64Array,
  C: number,
  h: number,
  w: number,
): ClassActivationMap {
  expectShape('activations', activations, { C, h, w });
  expectShape('weights', weights, { C });
  const channelWeights = new Float64Array(C);
  for (let c = 0; c < C; c++) {
    const weight = weights[c]!;
    const denominator = 2 + (weight * sumOfChannel(activations, c, h * w)) / (h * w);
    if (weight > 0 && denominator !== 0) channelWeights[c] = weight / denominator;
  }
  return { map: weightedSum(activations, channelWeights, h, w), channelWeights };
}

export function sumOfChannel(activations: Float32Array, c: number, positions: number): number {
  let sum = 0;
  for (let i = c * positions; i < (c + 1) * positions; i++) sum += activations[i]!;
  return sum;
}
