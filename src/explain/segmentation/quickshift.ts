import { expectShape } from '../../shared/kernels/shape.js';
import { toLab } from './lab.js';
import { renumber, type Segmentation } from './segmentation.js';

// A point is (ratio · L, ratio · a, ratio · b, y, x): colour and place of a pixel in one space.

export interface QuickshiftOptions {
  /** Width of the Gaussian that densities are estimated by, in pixels: more gives larger segments. */
  kernelSize: number;
  /** Points further apart than this are never joined. */
  maxDistance: number;
  /** How much colour counts against place. */
  ratio: number;
}

/**
 * Superpixels by quickshift: each pixel is joined to the nearest one of higher density, and the trees so made are the segments.
 * (Vedaldi and Soatto, ECCV 2008, 705.) Densities reach to 3 kernel sizes. Of equal densities the earlier pixel counts as the
 * higher, so that an even area is one segment and nothing is drawn by lot.
 *
 * @param pixels RGB (H, W, 3)
 * @throws SHAPE_MISMATCH
 */
export function quickshift(
  pixels: Uint8Array,
  H: number,
  W: number,
  { kernelSize, maxDistance, ratio }: QuickshiftOptions,
): Segmentation {
  expectShape('pixels', pixels, { H, W, C: 3 });
  const colours = toLab(Float32Array.from(pixels, (value) => value / 255)).map((value) => ratio * value);
  const reach = Math.ceil(3 * kernelSize);
  const densities = densitiesOf(colours, H, W, kernelSize, reach);
  const parents = parentsOf(colours, densities, H, W, reach, maxDistance ** 2);
  return renumber(parents.map((_, p) => rootOf(parents, p)));
}

/** Σ_q exp(-|p - q|² / 2 kernelSize²) over the pixels q within reach, p itself included. */
function densitiesOf(colours: Float32Array, H: number, W: number, kernelSize: number, reach: number): Float64Array {
  const densities = new Float64Array(H * W).fill(1);
  const scale = -0.5 / kernelSize ** 2;
  for (let y = 0, p = 0; y < H; y++) {
    for (let x = 0; x < W; x++, p++) {
      // Each pair once: the pixels to the right and those below.
      for (let v = y; v <= Math.min(H - 1, y + reach); v++) {
        const left = v === y ? x + 1 : Math.max(0, x - reach);
        const right = Math.min(W - 1, x + reach);
        for (let u = left, q = v * W + left; u <= right; u++, q++) {
          const weight = Math.exp(scale * (colourDistance(colours, p, q) + (v - y) ** 2 + (u - x) ** 2));
          densities[p]! += weight;
          densities[q]! += weight;
        }
      }
    }
  }
  return densities;
}

/** The nearest pixel of higher density within reach; the pixel itself where there is none within the distance. */
function parentsOf(
  colours: Float32Array,
  densities: Float64Array,
  H: number,
  W: number,
  reach: number,
  maxSquaredDistance: number,
): Int32Array {
  const parents = new Int32Array(H * W);
  for (let y = 0, p = 0; y < H; y++) {
    for (let x = 0; x < W; x++, p++) {
      const density = densities[p]!;
      let closest = Number.POSITIVE_INFINITY;
      let parent = p;
      for (let v = Math.max(0, y - reach); v <= Math.min(H - 1, y + reach); v++) {
        const left = Math.max(0, x - reach);
        const right = Math.min(W - 1, x + reach);
        for (let u = left, q = v * W + left; u <= right; u++, q++) {
          const other = densities[q]!;
          if (other < density || (other === density && q >= p)) continue;
          const distance = colourDistance(colours, p, q) + (v - y) ** 2 + (u - x) ** 2;
          if (distance >= closest) continue;
          closest = distance;
          parent = q;
        }
      }
      parents[p] = closest > maxSquaredDistance ? p : parent;
    }
  }
  return parents;
}

const colourDistance = (colours: Float32Array, p: number, q: number): number =>
  (colours[3 * p]! - colours[3 * q]!) ** 2 +
  (colours[3 * p + 1]! - colours[3 * q + 1]!) ** 2 +
  (colours[3 * p + 2]! - colours[3 * q + 2]!) ** 2;

/** Densities rise along the way, so it ends. */
function rootOf(parents: Int32Array, pixel: number): number {
  let root = pixel;
  while (parents[root] !== root) root = parents[root]!;
  return root;
}
