import { scaleEach } from './display.js';
import type { ImageAxes } from './image-axes.js';
import { axesOf, type Question, sampleOf } from './question.js';

/** An image as it was before it was made the input of a network. */
export interface Picture {
  /** (H, W, 3), at the size of the input. */
  pixels: Uint8Array;
  /** What the network is fed for such pixels. */
  prepare(pixels: Uint8Array): Float32Array;
}

/**
 * Each of N samples as a picture (H, W, 3): the image itself, or an array's smallest value black and its largest white.
 * The input is of 1 or 3 channels.
 *
 * @throws SHAPE_MISMATCH for an input that is not of four axes
 */
export function picturesOf(question: Question): Uint8Array[] {
  const axes = axesOf(question);
  if (question.picture) return [question.picture.pixels];
  return Array.from({ length: axes.N }, (_, n) => drawSample(sampleOf(question.x.data, n, axes.N), axes));
}

function drawSample(sample: Float32Array, { C, H, W, channelStep, positionStep }: ImageAxes): Uint8Array {
  const scaled = scaleEach(sample, 1);
  const pixels = new Uint8Array(H * W * 3);
  for (let p = 0; p < H * W; p++) {
    for (let k = 0; k < 3; k++) {
      pixels[3 * p + k] = Math.round(255 * scaled[p * positionStep + (C === 3 ? k : 0) * channelStep]!);
    }
  }
  return pixels;
}
