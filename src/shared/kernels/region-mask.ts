import { expectShape } from './shape.js';

/** Corners [x, y] as fractions of an image's width and height. */
export type Polygon = [x: number, y: number][];

/** The part of a camera's images that is inspected: inside any polygon of `roi` (all of it without one), outside those of `ignore`. */
export interface Region {
  roi: Polygon[];
  ignore: Polygon[];
}

/** (H, W): 1 where the centre of a pixel is inspected, else 0. */
export function regionMask({ roi, ignore }: Region, H: number, W: number): Uint8Array {
  const mask = new Uint8Array(H * W);
  for (let y = 0, i = 0; y < H; y++) {
    for (let x = 0; x < W; x++, i++) {
      const [px, py] = [(x + 0.5) / W, (y + 0.5) / H];
      const isInside = roi.length === 0 || roi.some((polygon) => holds(polygon, px, py));
      mask[i] = isInside && !ignore.some((polygon) => holds(polygon, px, py)) ? 1 : 0;
    }
  }
  return mask;
}

/** Even-odd rule: a ray to the right of the point crosses the outline an odd number of times. */
function holds(polygon: Polygon, x: number, y: number): boolean {
  let inside = false;
  for (let i = 0, before = polygon.length - 1; i < polygon.length; before = i++) {
    const [x1, y1] = polygon[i]!;
    const [x0, y0] = polygon[before]!;
    if (y1 > y !== y0 > y && x < x1 + ((y - y1) * (x0 - x1)) / (y0 - y1)) inside = !inside;
  }
  return inside;
}

/**
 * Gives every pixel that is not inspected the mean colour of those that are, in place: what is shown there can then change
 * neither the score nor any explanation.
 *
 * @param pixels (H, W, 3) @param mask (H, W) with at least one 1
 * @throws SHAPE_MISMATCH
 */
export function coverUninspected(pixels: Uint8Array, mask: Uint8Array): void {
  expectShape('pixels', pixels, { HW: mask.length, C: 3 });
  const sums = [0, 0, 0];
  let count = 0;
  for (let i = 0; i < mask.length; i++) {
    if (mask[i] === 0) continue;
    count++;
    for (let c = 0; c < 3; c++) sums[c]! += pixels[3 * i + c]!;
  }
  const means = sums.map((sum) => Math.round(sum / count));
  for (let i = 0; i < mask.length; i++) if (mask[i] === 0) pixels.set(means, 3 * i);
}

/**
 * The patches (of h · w) of s × s pixels that are inspected: those of which at least half the pixels are, or, where a region is
 * too narrow for any, those that have an inspected pixel.
 *
 * @param mask (h s, w s) @throws SHAPE_MISMATCH
 */
export function inspectedPatches(mask: Uint8Array, h: number, w: number, s: number): Int32Array {
  expectShape('mask', mask, { H: h * s, W: w * s });
  const counts = new Uint32Array(h * w);
  for (let i = 0; i < mask.length; i++) {
    const [y, x] = [Math.floor(i / (w * s)), i % (w * s)];
    counts[Math.floor(y / s) * w + Math.floor(x / s)]! += mask[i]!;
  }
  const withAtLeast = (pixels: number) =>
    Int32Array.from([...counts.keys()].filter((patch) => counts[patch]! >= pixels));
  const half = withAtLeast((s * s) / 2);
  return half.length > 0 ? half : withAtLeast(1);
}
