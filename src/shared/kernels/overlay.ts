import { jet } from './jet.js';
import { expectShape } from './shape.js';

/** Below this a map quantile gives no scale: held-out values that are all alike have a quantile of 0. */
export const smallestQuantile = 1e-6;

/**
 * An anomaly map as heat 0 .. 1: clip(map / 2q, 0, 1), q the 99.9 % quantile of held-out map values. Good parts look calm and
 * two overlays of a product compare.
 */
export function heatOf(map: Float32Array, q: number): Float32Array<ArrayBuffer> {
  const full = 2 * Math.max(q, smallestQuantile);
  const heat = new Float32Array(map.length);
  for (let i = 0; i < map.length; i++) heat[i] = Math.min(Math.max(map[i]! / full, 0), 1);
  return heat;
}

/** Heat 0 .. 1 as levels 0 .. 255, cut down to a whole number in float32. */
export function levelsOf(heat: Float32Array): Uint8Array<ArrayBuffer> {
  const levels = new Uint8Array(heat.length);
  for (let i = 0; i < heat.length; i++) levels[i] = Math.fround(255 * heat[i]!);
  return levels;
}

/**
 * An image with its heat laid over it in jet colours: 0.6 image + 0.4 jet, cut down to a whole number.
 *
 * @param image RGB (H, W, 3) @param heat 0 .. 1 (H, W) @returns RGB (H, W, 3)
 * @throws SHAPE_MISMATCH
 */
export function overlay(image: Uint8Array, heat: Float32Array): Uint8Array<ArrayBuffer> {
  expectShape('image', image, { pixels: heat.length, channels: 3 });
  const colours = jet(levelsOf(heat));
  const result = new Uint8Array(image.length);
  for (let i = 0; i < image.length; i++) {
    result[i] = 0.6 * image[i]! + 0.4 * colours[i]!;
  }
  return result;
}
