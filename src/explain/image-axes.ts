import { PatchlineError } from '../shared/errors.js';

export type Layout = 'nchw' | 'nhwc';

/** How a batch of images lies in an array: value (n, c, p) at (n C H W) + c channelStep + p positionStep. */
export interface ImageAxes {
  N: number;
  C: number;
  H: number;
  W: number;
  channelStep: number;
  positionStep: number;
}

/** @throws SHAPE_MISMATCH for an array that is not of four axes. */
export function imageAxes(dims: readonly number[], layout: Layout): ImageAxes {
  if (dims.length !== 4) {
    const message = `Expected an input of four axes, images, for this method or picture but received [${dims.join(', ')}]`;
    throw new PatchlineError('SHAPE_MISMATCH', message);
  }
  const [N, a, b, c] = dims as [number, number, number, number];
  if (layout === 'nchw') return { N, C: a, H: b, W: c, channelStep: b * c, positionStep: 1 };
  return { N, C: c, H: a, W: b, channelStep: 1, positionStep: c };
}
