import { expectShape } from '../../shared/kernels/shape.js';
import type { ImageAxes } from '../image-axes.js';

/**
 * Saliency: the largest |dS / dx| of all channels at each pixel. (Simonyan et al., arXiv:1312.6034, section 3.1.)
 *
 * @param gradient dS / dx, as `axes` say @returns (N, H, W)
 * @throws SHAPE_MISMATCH
 */
export function saliency(gradient: Float32Array, axes: ImageAxes): Float32Array<ArrayBuffer> {
  const { N, C, H, W, channelStep, positionStep } = axes;
  expectShape('gradient', gradient, { N, C, H, W });
  const map = new Float32Array(N * H * W);
  for (let n = 0, i = 0; n < N; n++) {
    for (let p = 0; p < H * W; p++, i++) {
      const first = n * C * H * W + p * positionStep;
      for (let c = 0; c < C; c++) map[i] = Math.max(map[i]!, Math.abs(gradient[first + c * channelStep]!));
    }
  }
  return map;
}
