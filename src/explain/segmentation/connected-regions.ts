import { expectShape } from '../../shared/kernels/shape.js';
import { renumber, type Segmentation } from './segmentation.js';

/**
 * Makes each segment one connected region (sides touch) of at least `smallest` and at most `largest` pixels: a smaller region
 * joins the neighbour that was met last, a larger one is cut.
 *
 * @param labels (H, W)
 * @throws SHAPE_MISMATCH
 */
export function joinSmallRegions(
  labels: Int32Array,
  H: number,
  W: number,
  smallest: number,
  largest: number,
): Segmentation {
  expectShape('labels', labels, { H, W });
  const regions = new Int32Array(H * W).fill(-1);
  const queue = new Int32Array(H * W);
  for (let start = 0, region = 0; start < regions.length; start++) {
    if (regions[start]! >= 0) continue;
    const { size, neighbour } = fill(labels, regions, queue, { H, W, start, region, largest });
    if (size >= smallest || neighbour < 0) region++;
    else for (let i = 0; i < size; i++) regions[queue[i]!] = neighbour;
  }
  return renumber(regions);
}

interface Fill {
  H: number;
  W: number;
  start: number;
  region: number;
  largest: number;
}

/** Numbers the pixels of one label around `start`, nearest first; they stand in `queue`. */
function fill(
  labels: Int32Array,
  regions: Int32Array,
  queue: Int32Array,
  { H, W, start, region, largest }: Fill,
): { size: number; neighbour: number } {
  const label = labels[start]!;
  let neighbour = -1;
  let size = 1;
  queue[0] = start;
  regions[start] = region;
  for (let next = 0; next < size && size < largest; next++) {
    const p = queue[next]!;
    const y = Math.floor(p / W);
    const x = p % W;
    for (let side = 0; side < 4 && size < largest; side++) {
      const dy = side === 0 ? -1 : side === 3 ? 1 : 0;
      const dx = side === 1 ? -1 : side === 2 ? 1 : 0;
      if (y + dy < 0 || y + dy >= H || x + dx < 0 || x + dx >= W) continue;
      const q = p + dy * W + dx;
      const found = regions[q]!;
      if (found < 0 && labels[q] === label) {
        regions[q] = region;
        queue[size++] = q;
      } else if (found >= 0 && found !== region) neighbour = found;
    }
  }
  return { size, neighbour };
}
