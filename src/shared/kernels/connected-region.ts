import { expectShape } from './shape.js';

// Maps and masks are (H, W). Two pixels are neighbours where they touch, be it at a corner (8-connectivity).

/** [x, y, width, height] in pixels. */
export type Box = [x: number, y: number, width: number, height: number];

/** The pixels already met carry their region's label; the queue holds the pixels of the latest region in its first places. */
interface Flood {
  inside: Uint8Array;
  labels: Int32Array;
  queue: Int32Array;
  H: number;
  W: number;
}

const createFlood = (inside: Uint8Array, H: number, W: number): Flood => ({
  inside,
  labels: new Int32Array(H * W),
  queue: new Int32Array(H * W),
  H,
  W,
});

/** Labels every pixel that is connected to `start` by inside pixels and returns how many there are. */
function flood({ inside, labels, queue, H, W }: Flood, start: number, label: number): number {
  let end = 0;
  queue[end++] = start;
  labels[start] = label;
  for (let next = 0; next < end; next++) {
    const y = Math.floor(queue[next]! / W);
    const x = queue[next]! - y * W;
    const lastY = Math.min(y + 1, H - 1);
    const lastX = Math.min(x + 1, W - 1);
    for (let v = Math.max(y - 1, 0); v <= lastY; v++) {
      for (let u = Math.max(x - 1, 0); u <= lastX; u++) {
        const pixel = v * W + u;
        if (inside[pixel] === 0 || labels[pixel] !== 0) continue;
        labels[pixel] = label;
        queue[end++] = pixel;
      }
    }
  }
  return end;
}

/**
 * The bounding box of the connected region of map >= level that holds `peak` (a pixel's place y·W + x). The peak itself
 * belongs to it whatever its value.
 *
 * @param map (H, W)
 * @throws SHAPE_MISMATCH
 */
export function boxOfRegion(map: Float32Array, H: number, W: number, level: number, peak: number): Box {
  expectShape('map', map, { H, W });
  const inside = new Uint8Array(H * W);
  for (let i = 0; i < inside.length; i++) inside[i] = map[i]! >= level ? 1 : 0;
  const state = createFlood(inside, H, W);
  const count = flood(state, peak, 1);

  let [left, top, right, bottom] = [W, H, 0, 0];
  for (let i = 0; i < count; i++) {
    const pixel = state.queue[i]!;
    const y = Math.floor(pixel / W);
    const x = pixel - y * W;
    if (x < left) left = x;
    if (x > right) right = x;
    if (y < top) top = y;
    if (y > bottom) bottom = y;
  }
  return [left, top, right - left + 1, bottom - top + 1];
}

export interface Regions {
  /** (H, W): 0 outside, 1 .. K in the order of each region's first pixel. */
  labels: Int32Array;
  /** Pixels of region 1 .. K at 0 .. K-1. */
  sizes: number[];
}

/**
 * The connected regions of a mask.
 *
 * @param mask (H, W), 0 outside
 * @throws SHAPE_MISMATCH
 */
export function labelRegions(mask: Uint8Array, H: number, W: number): Regions {
  expectShape('mask', mask, { H, W });
  const state = createFlood(mask, H, W);
  const sizes: number[] = [];
  for (let i = 0; i < mask.length; i++) {
    if (mask[i] !== 0 && state.labels[i] === 0) sizes.push(flood(state, i, sizes.length + 1));
  }
  return { labels: state.labels, sizes };
}
