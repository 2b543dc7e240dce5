import { createRandom } from '../../shared/kernels/random.js';
import { expectShape } from '../../shared/kernels/shape.js';
import type { ImageAxes } from '../image-axes.js';
import type { PixelStatistics } from './pixel-statistics.js';
import type { ProgressiveChange } from './progressive-change.js';

/** Parts of all P pixels. */
const flipped = 0.25;
const flippedInStep = 0.005;

/** How many pixels are flipped and how many in a step; what is left after the last whole step is not flipped. */
export function flippingSteps(P: number): { pixels: number; pixelsPerStep: number } {
  const pixelsPerStep = Math.max(1, Math.floor(P * flippedInStep));
  return { pixels: Math.floor((P * flipped) / pixelsPerStep) * pixelsPerStep, pixelsPerStep };
}

/**
 * Pixel flipping: a quarter of the pixels, half a percent in a step, each replaced by one draw from the normal distribution of
 * its place: all channels lie equally many deviations above their means. (After Samek et al., arXiv:1509.06321, section III.)
 *
 * @param image one image, as the axes say @param order of at least the pixels that are flipped
 * @param statistics of such images
 * @throws SHAPE_MISMATCH
 */
export function pixelFlipping(
  image: Float32Array,
  { C, H, W, channelStep, positionStep }: Omit<ImageAxes, 'N'>,
  order: Int32Array,
  { means, deviations }: PixelStatistics,
  seed: number,
): ProgressiveChange {
  expectShape('image', image, { C, H, W });
  expectShape('means', means, { C, H, W });
  expectShape('deviations', deviations, { C, H, W });
  const { pixels, pixelsPerStep } = flippingSteps(H * W);
  const random = createRandom(seed);
  const values = new Float32Array(pixels * C);
  for (let f = 0; f < pixels; f++) {
    const draw = random.normal();
    for (let c = 0; c < C; c++) {
      const i = order[f]! * positionStep + c * channelStep;
      values[f * C + c] = means[i]! + deviations[i]! * draw;
    }
  }
  return { start: image, order: order.slice(0, pixels), values, pixelsPerStep };
}
