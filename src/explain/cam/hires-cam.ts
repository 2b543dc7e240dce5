import { expectShape } from '../../shared/kernels/shape.js';

/**
 * HiResCAM: Σ_c g_c A_c, element by element, before ReLU; no mean over positions, so that it shows what the score was made of
 * wherever the layer is followed by linear operations. (Draelos and Carin, arXiv:2011.08891, Eq. 4.)
 *
 * @param activations A (C, h, w)
 * @param gradients g = dS / dA (C, h, w)
 * @returns (h, w), signed
 * @throws SHAPE_MISMATCH
 */
export function hiresCam(
  activations: Float32Array,
  gradients: Float32Array,
  C: number,
  h: number,
  w: number,
): Float32Array<ArrayBuffer> {
  expectShape('activations', activations, { C, h, w });
  expectShape('gradients', gradients, { C, h, w });
  const sums = new Float64Array(h * w);
  for (let i = 0; i < activations.length; i++) sums[i % (h * w)]! += gradients[i]! * activations[i]!;
  return Float32Array.from(sums);
}
