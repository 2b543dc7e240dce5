import { createRandom } from '../../shared/kernels/random.js';
import { expectShape } from '../../shared/kernels/shape.js';
import type { ImageAxes } from '../image-axes.js';
import type { Segmentation } from '../segmentation/segmentation.js';

/** Which of d segments each of n samples shows: all of them in the first, each with probability 1/2 in the others. (n, d) */
export function binarySamples(n: number, d: number, seed: number): Uint8Array<ArrayBuffer> {
  const random = createRandom(seed);
  return Uint8Array.from({ length: n * d }, (_, i) => (i < d ? 1 : random.integer(2)));
}

/** What stands for a hidden segment: the mean colour of the segment, or a value for every channel. */
export type Hide = 'mean' | number;

/**
 * The image with all its segments hidden. Means of whole numbers are cut down to whole numbers, as in the LIME of its authors.
 *
 * @param image one image, as `axes` say @returns of the same type and layout
 * @throws SHAPE_MISMATCH
 */
export function hideAll<Values extends Uint8Array | Float32Array>(
  image: Values,
  { C, H, W, channelStep, positionStep }: Omit<ImageAxes, 'N'>,
  { labels, count }: Segmentation,
  hide: Hide,
): Values {
  expectShape('image', image, { C, H, W });
  expectShape('labels', labels, { H, W });
  const hidden = image.slice() as Values;
  if (hide !== 'mean') return hidden.fill(hide) as Values;
  for (let c = 0; c < C; c++) {
    const sums = new Float64Array(count);
    const sizes = new Uint32Array(count);
    for (let p = 0, i = c * channelStep; p < H * W; p++, i += positionStep) {
      sums[labels[p]!]! += image[i]!;
      sizes[labels[p]!]!++;
    }
    for (let p = 0, i = c * channelStep; p < H * W; p++, i += positionStep) {
      hidden[i] = sums[labels[p]!]! / sizes[labels[p]!]!;
    }
  }
  return hidden;
}
