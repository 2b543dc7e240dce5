import { gaussianBlurGrid } from '../../shared/kernels/anomaly-map.js';
import { expectShape } from '../../shared/kernels/shape.js';
import { scaleEach } from '../display.js';
import { joinSmallRegions } from './connected-regions.js';
import { toLab } from './lab.js';
import type { Segmentation } from './segmentation.js';

// K clusters, P = H · W pixels; a cluster is (y, x, L, a, b).

export interface SlicOptions {
  /** About how many segments to make. */
  segments: number;
  /** Colour difference, in units of CIELAB, that counts as much as one step of the grid: more gives squarer segments. */
  compactness: number;
  /** Blur before clustering, in pixels; 0 for none. */
  sigma: number;
}

const iterations = 10;
const values = 5;

/**
 * Superpixels by SLIC: k-means of colour and place from a regular grid, each cluster looking no further than two steps of the
 * grid. (Achanta et al., IEEE TPAMI 34, 2274, 2012.) The image is scaled to the full range first, so that compactness means
 * the same for a dim one; regions below half of the mean size join a neighbour, those above three times are split.
 *
 * @param pixels RGB (H, W, 3)
 * @throws SHAPE_MISMATCH
 */
export function slic(
  pixels: Uint8Array,
  H: number,
  W: number,
  { segments, compactness, sigma }: SlicOptions,
): Segmentation {
  expectShape('pixels', pixels, { H, W, C: 3 });
  const lab = blurChannels(toLab(scaleEach(Float32Array.from(pixels), 1)), H, W, sigma);
  const [stepY, stepX] = gridSteps(H, W, segments);
  const clusters = gridClusters(H, W, stepY, stepX);
  const spaceWeight = (compactness / Math.max(stepY, stepX)) ** 2;
  const nearest = new Int32Array(H * W);
  const distances = new Float64Array(H * W);
  for (let iteration = 0; iteration < iterations; iteration++) {
    const moved = assign(lab, H, W, clusters, { stepY, stepX, spaceWeight }, nearest, distances);
    if (moved === 0) break;
    moveToMeans(lab, W, nearest, clusters);
  }
  const meanSize = (H * W * values) / clusters.length;
  return joinSmallRegions(nearest, H, W, Math.floor(0.5 * meanSize), Math.floor(3 * meanSize));
}

/** Assigns each pixel to the nearest cluster among those close by; returns how many changed. */
function assign(
  lab: Float32Array,
  H: number,
  W: number,
  clusters: Float64Array,
  { stepY, stepX, spaceWeight }: { stepY: number; stepX: number; spaceWeight: number },
  nearest: Int32Array,
  distances: Float64Array,
): number {
  distances.fill(Number.POSITIVE_INFINITY);
  const before = nearest.slice();
  for (let k = 0, c = 0; c < clusters.length; k++, c += values) {
    const cy = clusters[c]!;
    const cx = clusters[c + 1]!;
    const top = Math.max(0, Math.trunc(cy - 2 * stepY));
    const bottom = Math.min(H, Math.trunc(cy + 2 * stepY + 1));
    const left = Math.max(0, Math.trunc(cx - 2 * stepX));
    const right = Math.min(W, Math.trunc(cx + 2 * stepX + 1));
    for (let y = top; y < bottom; y++) {
      for (let x = left; x < right; x++) {
        const p = y * W + x;
        const space = (y - cy) ** 2 + (x - cx) ** 2;
        const colour =
          (lab[3 * p]! - clusters[c + 2]!) ** 2 +
          (lab[3 * p + 1]! - clusters[c + 3]!) ** 2 +
          (lab[3 * p + 2]! - clusters[c + 4]!) ** 2;
        const distance = spaceWeight * space + colour;
        if (distance >= distances[p]!) continue;
        distances[p] = distance;
        nearest[p] = k;
      }
    }
  }
  let moved = 0;
  for (let p = 0; p < nearest.length; p++) if (nearest[p] !== before[p]) moved++;
  return moved;
}

/** Each cluster becomes the mean of its pixels; one without pixels stays. */
function moveToMeans(lab: Float32Array, W: number, nearest: Int32Array, clusters: Float64Array): void {
  const sums = new Float64Array(clusters.length);
  const counts = new Uint32Array(clusters.length / values);
  for (let p = 0; p < nearest.length; p++) {
    const k = nearest[p]!;
    counts[k]!++;
    sums[values * k]! += Math.floor(p / W);
    sums[values * k + 1]! += p % W;
    for (let c = 0; c < 3; c++) sums[values * k + 2 + c]! += lab[3 * p + c]!;
  }
  for (let i = 0; i < sums.length; i++) {
    const count = counts[Math.floor(i / values)]!;
    if (count > 0) clusters[i] = sums[i]! / count;
  }
}

/** Whole steps of a grid of about K points; an image flatter than a step gets one row. */
function gridSteps(H: number, W: number, K: number): [stepY: number, stepX: number] {
  const step = Math.sqrt((H * W) / K);
  const whole = (length: number) => Math.max(1, Math.round(length));
  if (H < step) return [H, whole(W / K)];
  if (W < step) return [whole(H / K), W];
  return [whole(step), whole(step)];
}

/** They have no colour yet, so that place alone decides the first time. */
function gridClusters(H: number, W: number, stepY: number, stepX: number): Float64Array {
  const clusters: number[] = [];
  for (let y = Math.floor(stepY / 2); y < H; y += stepY) {
    for (let x = Math.floor(stepX / 2); x < W; x += stepX) clusters.push(y, x, 0, 0, 0);
  }
  return Float64Array.from(clusters);
}

/** @param lab (H, W, 3) */
function blurChannels(lab: Float32Array, H: number, W: number, sigma: number): Float32Array {
  if (sigma === 0) return lab;
  const blurred = new Float32Array(lab.length);
  for (let c = 0; c < 3; c++) {
    const channel = gaussianBlurGrid(
      Float32Array.from({ length: H * W }, (_, p) => lab[3 * p + c]!),
      H,
      W,
      sigma,
    );
    for (let p = 0; p < H * W; p++) blurred[3 * p + c] = channel[p]!;
  }
  return blurred;
}
