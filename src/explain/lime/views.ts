import { expectShape } from '../../shared/kernels/shape.js';

/** Segments by how much they count: |coefficient| descending, equal ones by number. (d) */
export const segmentOrder = (coefficients: Float64Array): number[] =>
  Array.from(coefficients.keys()).sort((a, b) => Math.abs(coefficients[b]!) - Math.abs(coefficients[a]!) || a - b);

/** 1 on the `shown` segments that speak most for the class, fewer where fewer do. (H, W) */
export function positiveMask(coefficients: Float64Array, labels: Int32Array, shown: number): Uint8Array<ArrayBuffer> {
  const chosen = new Set(
    segmentOrder(coefficients)
      .filter((label) => coefficients[label]! > 0)
      .slice(0, shown),
  );
  return Uint8Array.from(labels, (label) => (chosen.has(label) ? 1 : 0));
}

/** The image with everything outside the mask black. (H, W, 3) @throws SHAPE_MISMATCH */
export function hideRest(pixels: Uint8Array, mask: Uint8Array): Uint8Array<ArrayBuffer> {
  expectShape('pixels', pixels, { P: mask.length, C: 3 });
  return Uint8Array.from(pixels, (value, i) => (mask[Math.floor(i / 3)] === 1 ? value : 0));
}

const outline = [255, 255, 0] as const;

/** The image with a yellow line along both sides of the mask's edge. (H, W, 3) @throws SHAPE_MISMATCH */
export function outlineMask(pixels: Uint8Array, mask: Uint8Array, H: number, W: number): Uint8Array<ArrayBuffer> {
  expectShape('pixels', pixels, { H, W, C: 3 });
  expectShape('mask', mask, { H, W });
  const drawn = Uint8Array.from(pixels);
  for (let y = 0, p = 0; y < H; y++) {
    for (let x = 0; x < W; x++, p++) {
      const own = mask[p];
      const isEdge =
        (y > 0 && mask[p - W] !== own) ||
        (y < H - 1 && mask[p + W] !== own) ||
        (x > 0 && mask[p - 1] !== own) ||
        (x < W - 1 && mask[p + 1] !== own);
      if (isEdge) drawn.set(outline, 3 * p);
    }
  }
  return drawn;
}
