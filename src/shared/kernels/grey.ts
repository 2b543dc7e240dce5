import { rowCount } from './shape.js';

/**
 * RGB to grey as OpenCV does it (COLOR_RGB2GRAY): 0.299 R + 0.587 G + 0.114 B in fixed point, rounded.
 *
 * @param image (H, W, 3) @returns (H, W)
 * @throws SHAPE_MISMATCH
 */
export function toGrey(image: Uint8Array): Uint8Array<ArrayBuffer> {
  const grey = new Uint8Array(rowCount('image', image, 3));
  for (let i = 0; i < grey.length; i++) {
    grey[i] = (9798 * image[3 * i]! + 19_235 * image[3 * i + 1]! + 3735 * image[3 * i + 2]! + 16_384) >> 15;
  }
  return grey;
}
