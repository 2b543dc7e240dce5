import { expectShape } from '../../shared/kernels/shape.js';
import type { DiagonalDerivatives } from '../diagonal-derivatives.js';
import { type ClassActivationMap, sumOfChannel } from './grad-cam-plus-plus.js';
import { weightedSum } from './weighted-sum.js';

// Other forms of Grad-CAM++ (arXiv:1710.11063). Activations A and gradients g = dS / dA of one layer are (C, h, w), of one image.

/**
 * As widespread code has it: α = g² / (2 g² + (Σ A) g³ + ε), with an ε that keeps the denominator from 0 and decides about the map
 * where that is small; the weight of a channel is Σ α relu(g). `relu-gradient` puts relu(g) for g inside α too, ε 1e-8; `signed-gradient`
 * keeps the sign there, ε 1e-6.
 *
 * @throws SHAPE_MISMATCH
 */
export function gradCamPlusPlusWithEpsilon(
  activations: Float32Array,
  gradients: Float32Array,
  C: number,
  h: number,
  w: number,
  variant: 'relu-gradient' | 'signed-gradient',
): ClassActivationMap {
  expectShape('activations', activations, { C, h, w });
  expectShape('gradients', gradients, { C, h, w });
  // A negative gradient has the weight 0 whatever its α is: the two differ in ε alone.
  const epsilon = variant === 'relu-gradient' ? 1e-8 : 1e-6;
  const channelWeights = new Float64Array(C);
  for (let c = 0; c < C; c++) {
    const sum = sumOfChannel(activations, c, h * w);
    for (let i = c * h * w; i < (c + 1) * h * w; i++) {
      const g = gradients[i]!;
      if (g > 0) channelWeights[c]! += g ** 3 / (2 * g ** 2 + sum * g ** 3 + epsilon);
    }
  }
  return { map: weightedSum(activations, channelWeights, h, w), channelWeights };
}

/**
 * By true derivatives of Y = exp(S), each by the single value of A that it belongs to: with S' = g and the second and third
 * derivatives S'' and S''', Y' / Y = S', Y'' / Y = S'' + S'², Y''' / Y = S''' + 3 S' S'' + S'³, and
 * α = Y'' / (2 Y'' + (Σ A) Y''') (Eq. 18 there), 0 where the denominator is 0. The weight of a channel is Σ α relu(Y'), its map
 * Σ_c weight_c A_c, divided by exp(S). Where S is piecewise linear in A this is the closed form.
 *
 * @throws SHAPE_MISMATCH
 */
export function gradCamPlusPlusByDerivatives(
  activations: Float32Array,
  gradients: Float32Array,
  { second, third }: DiagonalDerivatives,
  C: number,
  h: number,
  w: number,
): ClassActivationMap {
  for (const [name, array] of Object.entries({ activations, gradients, second, third })) {
    expectShape(name, array, { C, h, w });
  }
  const channelWeights = new Float64Array(C);
  for (let c = 0; c < C; c++) {
    const sum = sumOfChannel(activations, c, h * w);
    for (let i = c * h * w; i < (c + 1) * h * w; i++) {
      const g = gradients[i]!;
      const Y2 = second[i]! + g ** 2;
      const Y3 = third[i]! + 3 * g * second[i]! + g ** 3;
      const denominator = 2 * Y2 + sum * Y3;
      if (g > 0 && denominator !== 0) channelWeights[c]! += (Y2 / denominator) * g;
    }
  }
  return { map: weightedSum(activations, channelWeights, h, w), channelWeights };
}
