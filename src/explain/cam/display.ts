import { resizeAntialiased } from '../../shared/kernels/resize.js';

/**
 * A class activation map as it is shown: what speaks against the class cut off, resized, scaled to 0 .. 1. A map whose values
 * lie within 1e-8 stays unscaled, so that nothing is made to look like something.
 *
 * @param map (h, w), signed @returns (H, W)
 * @throws SHAPE_MISMATCH
 */
export function displayCam(map: Float32Array, h: number, w: number, H: number, W: number): Float32Array<ArrayBuffer> {
  const positive = map.map((value) => Math.max(value, 0));
  const shown = resizeAntialiased(positive, h, w, H, W);
  let [lowest, highest] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (let i = 0; i < shown.length; i++) {
    lowest = Math.min(lowest, shown[i]!);
    highest = Math.max(highest, shown[i]!);
  }
  const range = highest - lowest;
  return range > 1e-8 ? shown.map((value) => (value - lowest) / range) : shown;
}
