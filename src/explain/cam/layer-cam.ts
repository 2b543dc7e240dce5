import { expectShape } from '../../shared/kernels/shape.js';

/**
 * LayerCAM: Σ_c relu(g_c) A_c, element by element, before the last ReLU; for layers of any depth.
 * (Jiang et al., LayerCAM, IEEE TIP 30 (2021) 5875, Eq. 5 to 7.)
 *
 * @param activations A (C, h, w)
 * @param gradients g = dS / dA (C, h, w)
 * @returns (h, w), signed where activations are
 * @throws SHAPE_MISMATCH
 */
export function layerCam(
  activations: Float32Array,
  gradients: Float32Array,
  C: number,
  h: number,
  w: number,
): Float32Array<ArrayBuffer> {
  expectShape('activations', activations, { C, h, w });
  expectShape('gradients', gradients, { C, h, w });
  const sums = new Float64Array(h * w);
  for (let i = 0; i < activations.length; i++) {
    const g = gradients[i]!;
    if (!(g <= 0)) sums[i % (h * w)]! += g * activations[i]!;
  }
  return Float32Array.from(sums);
}
