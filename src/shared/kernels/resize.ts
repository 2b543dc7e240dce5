import { expectShape, rowCount } from './shape.js';

// Planes are (C, h, w), one or more, and become (C, H, W). Pixels have centres at half: pixel i of N covers [i/N, (i+1)/N].

/** Where sample i of N lies among n: between `lower` and `upper`, `fraction` of the way; beyond the border the border sample. */
export function sourcePosition(i: number, n: number, N: number): { lower: number; upper: number; fraction: number } {
  const position = Math.max(((i + 0.5) * n) / N - 0.5, 0);
  const lower = Math.min(Math.floor(position), n - 1);
  return { lower, upper: Math.min(lower + 1, n - 1), fraction: position - lower };
}

/**
 * Bilinear resize without antialiasing (torch `interpolate`, align_corners=False).
 *
 * @param planes (C, h, w) @returns (C, H, W)
 * @throws SHAPE_MISMATCH
 */
export function resizeBilinear(
  planes: Float32Array,
  h: number,
  w: number,
  H: number,
  W: number,
): Float32Array<ArrayBuffer> {
  const C = rowCount('planes', planes, h * w);
  const rows = Array.from({ length: H }, (_, y) => sourcePosition(y, h, H));
  const columns = Array.from({ length: W }, (_, x) => sourcePosition(x, w, W));
  const result = new Float32Array(C * H * W);
  for (let c = 0, i = 0; c < C; c++) {
    for (const row of rows) {
      const above = (c * h + row.lower) * w;
      const below = (c * h + row.upper) * w;
      for (const { lower, upper, fraction } of columns) {
        const top = planes[above + lower]! * (1 - fraction) + planes[above + upper]! * fraction;
        const bottom = planes[below + lower]! * (1 - fraction) + planes[below + upper]! * fraction;
        result[i++] = top * (1 - row.fraction) + bottom * row.fraction;
      }
    }
  }
  return result;
}

/**
 * Nearest resize of a mask: each pixel takes the value at its centre (torch `nearest-exact`), so that a mask stays on its map.
 *
 * @param mask (h, w) @returns (H, W)
 * @throws SHAPE_MISMATCH
 */
export function resizeNearest(mask: Uint8Array, h: number, w: number, H: number, W: number): Uint8Array<ArrayBuffer> {
  expectShape('mask', mask, { h, w });
  const columns = Int32Array.from({ length: W }, (_, x) => Math.floor(((x + 0.5) * w) / W));
  const result = new Uint8Array(H * W);
  for (let y = 0; y < H; y++) {
    const row = Math.floor(((y + 0.5) * h) / H) * w;
    for (let x = 0; x < W; x++) result[y * W + x] = mask[row + columns[x]!]!;
  }
  return result;
}

/**
 * Bilinear resize that averages where it shrinks: each pixel is a mean weighted by a triangle as wide as two pixels of the
 * coarser picture (Pillow BILINEAR, torch antialias=True). Where it enlarges it equals `resizeBilinear`.
 *
 * @param planes (C, h, w) @returns (C, H, W)
 * @throws SHAPE_MISMATCH
 */
export function resizeAntialiased(
  planes: Float32Array,
  h: number,
  w: number,
  H: number,
  W: number,
): Float32Array<ArrayBuffer> {
  const C = rowCount('planes', planes, h * w);
  const rows = Array.from({ length: H }, (_, y) => triangle(y, h, H));
  const columns = Array.from({ length: W }, (_, x) => triangle(x, w, W));
  const narrowed = new Float64Array(C * h * W);
  for (let row = 0, i = 0; row < C * h; row++) {
    for (const { first, weights } of columns) {
      let sum = 0;
      for (let t = 0; t < weights.length; t++) sum += weights[t]! * planes[row * w + first + t]!;
      narrowed[i++] = sum;
    }
  }
  const result = new Float32Array(C * H * W);
  for (let c = 0, i = 0; c < C; c++) {
    for (const { first, weights } of rows) {
      for (let x = 0; x < W; x++) {
        let sum = 0;
        for (let t = 0; t < weights.length; t++) sum += weights[t]! * narrowed[(c * h + first + t) * W + x]!;
        result[i++] = sum;
      }
    }
  }
  return result;
}

/** The samples of n that make up sample i of N, and their weights, which sum to 1. */
function triangle(i: number, n: number, N: number): { first: number; weights: Float64Array } {
  const width = Math.max(n / N, 1);
  const centre = ((i + 0.5) * n) / N;
  const first = Math.max(Math.floor(centre - width + 0.5), 0);
  const end = Math.min(Math.floor(centre + width + 0.5), n);
  const weights = Float64Array.from({ length: end - first }, (_, t) =>
    Math.max(1 - Math.abs(first + t + 0.5 - centre) / width, 0),
  );
  const sum = weights.reduce((total, weight) => total + weight, 0);
  return { first, weights: weights.map((weight) => weight / sum) };
}
