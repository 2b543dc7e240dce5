import { expectShape } from '../../shared/kernels/shape.js';
import type { ImageAxes } from '../image-axes.js';
import type { Rows } from '../rows.js';

// One image of P = H · W pixels and C channels; F pixels are changed, one after the other.

/** How an image is changed pixel by pixel. All channels of a pixel change together, and what is changed stays so. */
export interface ProgressiveChange {
  /** The image before any change, as the axes say. */
  start: Float32Array;
  /** Pixels in the order of their change. (F) */
  order: Int32Array;
  /** What each of them becomes. (F, C) */
  values: Float32Array;
  pixelsPerStep: number;
}

/**
 * The images to score: the first unchanged, each later one with a step more; the last step may be smaller.
 *
 * @throws SHAPE_MISMATCH
 */
export function changedRows(
  { start, order, values, pixelsPerStep }: ProgressiveChange,
  { C, H, W, channelStep, positionStep }: Omit<ImageAxes, 'N'>,
): Rows {
  expectShape('start', start, { C, H, W });
  expectShape('values', values, { F: order.length, C });
  const write = (index: number, target: Float32Array) => {
    target.set(start);
    const changed = Math.min(index * pixelsPerStep, order.length);
    for (let f = 0; f < changed; f++) {
      const first = order[f]! * positionStep;
      for (let c = 0; c < C; c++) target[first + c * channelStep] = values[f * C + c]!;
    }
  };
  return { count: 1 + Math.ceil(order.length / pixelsPerStep), write };
}

/** The values that the pixels of `order` have in an image. (F, C) */
export function valuesAt(
  image: Float32Array,
  order: Int32Array,
  { C, channelStep, positionStep }: Omit<ImageAxes, 'N'>,
): Float32Array<ArrayBuffer> {
  const values = new Float32Array(order.length * C);
  for (let f = 0, i = 0; f < order.length; f++) {
    for (let c = 0; c < C; c++, i++) values[i] = image[order[f]! * positionStep + c * channelStep]!;
  }
  return values;
}

/** Mean height of a curve of even steps: (Σ - first / 2 - last / 2) / (n - 1). */
export function meanOfCurve(curve: Float64Array): number {
  const sum = curve.reduce((total, value) => total + value, 0);
  return (sum - curve[0]! / 2 - curve.at(-1)! / 2) / (curve.length - 1);
}
