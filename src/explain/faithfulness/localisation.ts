import { expectShape } from '../../shared/kernels/shape.js';

/**
 * Share of a map's energy that lies on a mask; what is negative does not count. Of a map without energy it is 0.
 * (Wang et al., arXiv:1910.01279, section 4.3.)
 *
 * @param map (H, W) @param mask (H, W), not 0 on the defect
 * @throws SHAPE_MISMATCH
 */
export function energyInMask(map: Float32Array, mask: Uint8Array): number {
  expectShape('mask', mask, { P: map.length });
  let all = 0;
  let inside = 0;
  for (let p = 0; p < map.length; p++) {
    const energy = Math.max(map[p]!, 0);
    all += energy;
    if (mask[p] !== 0) inside += energy;
  }
  return all > 0 ? inside / all : 0;
}

/**
 * Whether the hottest place of a map lies on a mask, or near it; of several that are equally hot all have to, so that a map that
 * is alike everywhere hits nothing. (Zhang et al., arXiv:1608.00507, section 4.2, where 15 pixels are near.)
 *
 * @param map (H, W) @param mask (H, W), not 0 on the defect @param tolerance distance in pixels that still counts
 * @throws SHAPE_MISMATCH
 */
export function pointingGame(map: Float32Array, mask: Uint8Array, W: number, tolerance = 0): boolean {
  expectShape('mask', mask, { H: map.length / W, W });
  const hottest = map.reduce((most, heat) => Math.max(most, heat), Number.NEGATIVE_INFINITY);
  return map.every((heat, p) => heat < hottest || isNear(mask, p, W, tolerance));
}

function isNear(mask: Uint8Array, p: number, W: number, tolerance: number): boolean {
  const [y, x] = [Math.floor(p / W), p % W];
  const reach = Math.floor(tolerance);
  for (let v = Math.max(0, y - reach); v <= Math.min(mask.length / W - 1, y + reach); v++) {
    for (let u = Math.max(0, x - reach); u <= Math.min(W - 1, x + reach); u++) {
      if (mask[v * W + u] !== 0 && Math.hypot(v - y, u - x) <= tolerance) return true;
    }
  }
  return false;
}
