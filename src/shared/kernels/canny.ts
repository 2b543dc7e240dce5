import { expectShape } from './shape.js';

// Pictures are (H, W). Padded arrays have a border of one pixel: (H + 2, W + 2), rows of S = W + 2.

const candidate = 1;
const edge = 255;

/** tan 22.5° in fixed point of 15 bits, rounded; tan 67.5° is 2 more. */
const tan22 = 13_573;

/**
 * Canny edges as OpenCV finds them (Canny(grey, low, high), aperture 3, L1 gradient): Sobel with the border repeated,
 * magnitude |gx| + |gy|, non-maximum suppression in four sectors, hysteresis over the eight neighbours (Canny, IEEE TPAMI 8,
 * 1986, 679).
 *
 * @param grey (H, W)
 * @param low a pixel above it is an edge where it touches one
 * @param high a pixel above it is an edge
 * @returns (H, W), 255 on edges, 0 elsewhere
 * @throws SHAPE_MISMATCH
 */
export function cannyEdges(grey: Uint8Array, H: number, W: number, low = 50, high = 150): Uint8Array<ArrayBuffer> {
  const marks = markEdges(grey, H, W, low, high);
  const edges = new Uint8Array(H * W);
  for (let y = 0, i = 0; y < H; y++) {
    for (let x = 0; x < W; x++, i++) if (marks[(y + 1) * (W + 2) + x + 1] === edge) edges[i] = edge;
  }
  return edges;
}

/** The share of pixels that are Canny edges at 50 / 150. Throws SHAPE_MISMATCH. */
export function edgeDensity(grey: Uint8Array, H: number, W: number): number {
  const marks = markEdges(grey, H, W, 50, 150);
  let count = 0;
  for (let i = 0; i < marks.length; i++) if (marks[i] === edge) count++;
  return count / (H * W);
}

/** The edges, padded by a border of nothing. */
function markEdges(grey: Uint8Array, H: number, W: number, low: number, high: number): Uint8Array {
  expectShape('grey', grey, { H, W });
  const S = W + 2;
  const gx = new Int16Array((H + 2) * S);
  const gy = new Int16Array((H + 2) * S);
  const magnitude = new Int16Array((H + 2) * S);
  sobel(padByBorder(grey, H, W), H, W, gx, gy, magnitude);

  const marks = new Uint8Array((H + 2) * S);
  const stack = new Int32Array(H * W);
  let top = 0;
  for (let y = 1; y <= H; y++) {
    for (let x = 1, i = y * S + 1; x <= W; x++, i++) {
      const m = magnitude[i]!;
      if (m <= low || !isMaximum(magnitude, m, i, S, gx[i]!, gy[i]!)) continue;
      marks[i] = candidate;
      if (m <= high) continue;
      marks[i] = edge;
      stack[top++] = i;
    }
  }

  // Every pixel goes on the stack once, when it becomes an edge.
  while (top > 0) {
    const i = stack[--top]!;
    for (let above = i - S - 1; above <= i + S - 1; above += S) {
      for (let j = above; j < above + 3; j++) {
        if (marks[j] !== candidate) continue;
        marks[j] = edge;
        stack[top++] = j;
      }
    }
  }
  return marks;
}

/**
 * Whether pixel i is the largest along its gradient, of which only the sector counts. Of two equal pixels along an axis the
 * first wins; along a diagonal neither does.
 */
function isMaximum(magnitude: Int16Array, m: number, i: number, S: number, gx: number, gy: number): boolean {
  const x = Math.abs(gx);
  const y = Math.abs(gy) << 15;
  const boundary = x * tan22;
  if (y < boundary) return m > magnitude[i - 1]! && m >= magnitude[i + 1]!;
  if (y > boundary + (x << 16)) return m > magnitude[i - S]! && m >= magnitude[i + S]!;
  const step = (gx ^ gy) < 0 ? S - 1 : S + 1;
  return m > magnitude[i - step]! && m > magnitude[i + step]!;
}

/** Sobel 3 x 3 of a padded picture; all arrays padded, the borders of the results stay 0. */
function sobel(p: Uint8Array, H: number, W: number, gx: Int16Array, gy: Int16Array, magnitude: Int16Array): void {
  const S = W + 2;
  for (let y = 1; y <= H; y++) {
    for (let x = 1, i = y * S + 1; x <= W; x++, i++) {
      const falling = p[i + S + 1]! - p[i - S - 1]!;
      const rising = p[i - S + 1]! - p[i + S - 1]!;
      const dx = falling + rising + 2 * (p[i + 1]! - p[i - 1]!);
      const dy = falling - rising + 2 * (p[i + S]! - p[i - S]!);
      gx[i] = dx;
      gy[i] = dy;
      magnitude[i] = Math.abs(dx) + Math.abs(dy);
    }
  }
}

/** (H, W) with its border repeated once: (H + 2, W + 2). */
function padByBorder(grey: Uint8Array, H: number, W: number): Uint8Array {
  const S = W + 2;
  const padded = new Uint8Array((H + 2) * S);
  for (let y = 0; y < H + 2; y++) {
    const row = Math.min(Math.max(y - 1, 0), H - 1) * W;
    padded.set(grey.subarray(row, row + W), y * S + 1);
    padded[y * S] = grey[row]!;
    padded[y * S + S - 1] = grey[row + W - 1]!;
  }
  return padded;
}
