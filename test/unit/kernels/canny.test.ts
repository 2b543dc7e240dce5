import { expect, test } from 'vitest';
import { cannyEdges, edgeDensity } from '../../../src/shared/kernels/canny.js';
import { createRandom } from '../../../src/shared/kernels/random.js';
import { expectClose } from '../../helpers/arrays.js';
import { goldenCases } from '../../helpers/golden.js';

test.each(goldenCases('edge-density'))('golden case $name', (golden) => {
  const { data, shape } = golden.uint8('grey');
  const [H, W] = shape as [number, number];
  golden.check({ edges: cannyEdges(data, H, W), density: edgeDensity(data, H, W) });
});

/** Grey noise, blurred a little so that there are edges of every strength. */
function texture(H: number, W: number, seed: number): Uint8Array {
  const random = createRandom(seed);
  const noise = Float64Array.from({ length: H * W }, () => random.uniform() * 255);
  const at = (y: number, x: number) => noise[Math.min(y, H - 1) * W + Math.min(x, W - 1)]!;
  return Uint8Array.from({ length: H * W }, (_, i) => {
    const [y, x] = [Math.floor(i / W), i % W];
    return (at(y, x) + at(y + 1, x) + at(y, x + 1) + at(y + 1, x + 1)) / 4;
  });
}

/** A pixel of the picture with its border repeated; a magnitude beyond the border is 0. */
function plainCanny(grey: Uint8Array, H: number, W: number): Uint8Array {
  const p = (y: number, x: number) => grey[Math.min(Math.max(y, 0), H - 1) * W + Math.min(Math.max(x, 0), W - 1)]!;
  const gradient = (y: number, x: number) => ({
    dx: p(y - 1, x + 1) + 2 * p(y, x + 1) + p(y + 1, x + 1) - p(y - 1, x - 1) - 2 * p(y, x - 1) - p(y + 1, x - 1),
    dy: p(y + 1, x - 1) + 2 * p(y + 1, x) + p(y + 1, x + 1) - p(y - 1, x - 1) - 2 * p(y - 1, x) - p(y - 1, x + 1),
  });
  const magnitude = (y: number, x: number) => {
    if (y < 0 || y >= H || x < 0 || x >= W) return 0;
    const { dx, dy } = gradient(y, x);
    return Math.abs(dx) + Math.abs(dy);
  };
  const isMaximum = (y: number, x: number) => {
    const { dx, dy } = gradient(y, x);
    const m = magnitude(y, x);
    const degrees = (Math.atan2(Math.abs(dy), Math.abs(dx)) * 180) / Math.PI;
    if (degrees < 22.5) return m > magnitude(y, x - 1) && m >= magnitude(y, x + 1);
    if (degrees > 67.5) return m > magnitude(y - 1, x) && m >= magnitude(y + 1, x);
    const side = dx * dy < 0 ? -1 : 1;
    return m > magnitude(y - 1, x - side) && m > magnitude(y + 1, x + side);
  };
  const positions = Array.from({ length: H * W }, (_, i) => [Math.floor(i / W), i % W] as const);
  const edges = Uint8Array.from(positions, ([y, x]) => (magnitude(y, x) > 150 && isMaximum(y, x) ? 255 : 0));
  for (let grown = true; grown; ) {
    grown = false;
    for (const [y, x] of positions) {
      if (edges[y * W + x] || magnitude(y, x) <= 50 || !isMaximum(y, x)) continue;
      const touches = positions.some(([v, u]) => Math.abs(v - y) <= 1 && Math.abs(u - x) <= 1 && edges[v * W + u]);
      if (touches) [edges[y * W + x], grown] = [255, true];
    }
  }
  return edges;
}

test.each([
  [19, 23],
  [2, 9],
  [9, 1],
  [1, 1],
])('equals a plain form on a texture of %i x %i', (H, W) => {
  for (let seed = 0; seed < 8; seed++) {
    const grey = texture(H, W, seed);
    expectClose(cannyEdges(grey, H, W), plainCanny(grey, H, W), {}, `seed ${seed}`);
  }
});

test('a long faint line is an edge exactly where it hangs on a strong one', () => {
  const [H, W] = [12, 400];
  const faint = Uint8Array.from({ length: H * W }, (_, i) => (i < (H / 2) * W ? 100 : 120));
  expect(edgeDensity(faint, H, W)).toBe(0);
  const strong = faint.map((value, i) => (i % W > W - 4 ? (value > 100 ? 200 : 40) : value));
  const edges = cannyEdges(strong, H, W);
  expect(edges.subarray(5 * W, 6 * W).filter((value) => value === 255).length).toBeGreaterThan(W - 8);
});

test('the picture has to have its size', () => {
  expect(() => edgeDensity(new Uint8Array(11), 3, 4)).toThrowError(expect.objectContaining({ code: 'SHAPE_MISMATCH' }));
});
