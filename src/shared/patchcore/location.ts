import type { Box } from '../kernels/connected-region.js';
import type { Size } from './patch-vectors.js';

/** The pixel of the upright original that lies under the centre of a pixel [x, y] of the model input. */
export function pixelInOriginal([x, y]: readonly [number, number], input: Size, original: Size): [number, number] {
  const across = (at: number, from: number, to: number) => Math.min(Math.floor(((at + 0.5) * to) / from), to - 1);
  return [across(x, input.width, original.width), across(y, input.height, original.height)];
}

/** The smallest box of whole pixels of the upright original that holds a box of the model input. */
export function boxInOriginal([x, y, width, height]: Box, input: Size, original: Size): Box {
  const left = Math.floor((x * original.width) / input.width);
  const top = Math.floor((y * original.height) / input.height);
  const right = Math.ceil(((x + width) * original.width) / input.width);
  const bottom = Math.ceil(((y + height) * original.height) / input.height);
  return [left, top, right - left, bottom - top];
}
