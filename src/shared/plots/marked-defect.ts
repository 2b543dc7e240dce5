import { encodePng, type ImageSize } from '../image.js';
import { expectShape } from '../kernels/shape.js';
import { palette } from './palette.js';

const colour = [1, 3, 5].map((start) => Number.parseInt(palette.suspicious.slice(start, start + 2), 16));

/**
 * An image with a line around its defect, just outside, so that the defect itself stays as it is.
 *
 * @param pixels RGB (H, W, 3) @param mask (H, W), 0 where normal @returns .png
 * @throws SHAPE_MISMATCH
 */
export async function markedDefectPng(pixels: Uint8Array, mask: Uint8Array, { height, width }: ImageSize) {
  expectShape('pixels', pixels, { H: height, W: width, channels: 3 });
  expectShape('mask', mask, { H: height, W: width });
  const marked = Uint8Array.from(pixels);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const i = y * width + x;
      if (mask[i] === 0 && touchesDefect(mask, x, y, height, width)) marked.set(colour, 3 * i);
    }
  }
  return await encodePng(marked, { height, width, channels: 3 });
}

function touchesDefect(mask: Uint8Array, x: number, y: number, height: number, width: number): boolean {
  for (let row = Math.max(y - 1, 0); row <= Math.min(y + 1, height - 1); row++) {
    for (let column = Math.max(x - 1, 0); column <= Math.min(x + 1, width - 1); column++) {
      if (mask[row * width + column] !== 0) return true;
    }
  }
  return false;
}
