import { createRandom } from '../../shared/kernels/random.js';
import { expectShape } from '../../shared/kernels/shape.js';
import type { ProgressiveChange } from './progressive-change.js';

/** Parts of all P pixels. */
const flipped = 0.25;
const flippedInStep = 0.005;

/** How many pixels are flipped and how many in a step; what is left after the last whole step is not flipped. */
export function flippingSteps(P: number): { pixels: number; pixelsPerStep: number } {
  const pixelsPerStep = Math.max(1, Math.floor(P * flippedInStep));
  return { pixels: Math.floor((P * flipped) / pixelsPerStep) * pixelsPerStep, pixelsPerStep };
}

/** Of the values that a pixel may take. (P) each. */
export interface PixelStatistics {
  means: Float32Array;
  deviations: Float32Array;
}

/**
 * Pixel flipping: a quarter of the pixels, half a percent in a step, each replaced by one draw from the normal distribution of
 * its place, the same in all channels. (After Samek et al., arXiv:1509.06321, section III.)
 *
 * @param image one image, C channels @param order of at least the pixels that are flipped
 * @throws SHAPE_MISMATCH
 */
export function pixelFlipping(
  image: Float32Array,
  C: number,
  order: Int32Array,
  { means, deviations }: PixelStatistics,
  seed: number,
): ProgressiveChange {
  const P = means.length;
  expectShape('deviations', deviations, { P });
  expectShape('image', image, { P, C });
  const { pixels, pixelsPerStep } = flippingSteps(P);
  const random = createRandom(seed);
  const values = new Float32Array(pixels * C);
  for (let f = 0; f < pixels; f++) {
    const p = order[f]!;
    values.fill(means[p]! + deviations[p]! * random.normal(), f * C, (f + 1) * C);
  }
  return { start: image, order: order.slice(0, pixels), values, pixelsPerStep };
}

/** Where only one image is known: mean and deviation of all its values, at every pixel. */
export function statisticsOfImage(image: Float32Array, P: number): PixelStatistics {
  const mean = image.reduce((sum, value) => sum + value, 0) / image.length;
  const variance = image.reduce((sum, value) => sum + (value - mean) ** 2, 0) / image.length;
  return {
    means: new Float32Array(P).fill(mean),
    deviations: new Float32Array(P).fill(Math.sqrt(variance)),
  };
}
