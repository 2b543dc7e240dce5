import { expect, test } from 'vitest';
import { createUpperQuantile, mapQuantileOf } from '../../../src/fit/map-quantile.js';
import { upsampleMap } from '../../../src/shared/kernels/anomaly-map.js';
import { quantile } from '../../../src/shared/kernels/quantile.js';
import { createRandom } from '../../../src/shared/kernels/random.js';
import { float32 } from '../../helpers/arrays.js';

const random = createRandom(51);
const input = { height: 64, width: 96 };
const grid = { height: 4, width: 6 };
const [H, W, h, w] = [64, 96, 4, 6];
const P = h * w;

test.each(['position', 'fused', 'max', 'top3', 'reweighted'] as const)(
  'the map quantile is that of all maps of %s',
  (score) => {
    const N = 30;
    const distances = float32(N * P, () => 1 + 0.2 * random.normal());
    const position = { means: float32(P, (p) => 0.1 * p), scales: float32(P, () => 1) };
    const usual = score === 'position' || score === 'fused' ? position.means : new Float32Array(P);
    const maps = Array.from({ length: N }, (_, n) => {
      const excess = float32(P, (p) => distances[n * P + p]! - usual[p]!);
      return [...upsampleMap(excess, h, w, H, W, 4)];
    });
    const found = mapQuantileOf(distances, score, position, { input, grid, mapSigma: 4 });
    expect(found).toBeCloseTo(quantile(maps.flat(), 0.999), 6);
  },
);

test.each([
  [1, 1, 0.999],
  [7, 3, 0.5],
  [1000, 7, 0.999],
  [5000, 900, 0.99],
  [400, 40, 1],
  [400, 40, 0],
])('the quantile of %i values, %i at a time, is that of all together (q = %f)', (count, atOnce, q) => {
  for (const draw of [random.normal, () => random.integer(5)]) {
    const values = float32(count, draw);
    const upper = createUpperQuantile(count, q);
    for (let from = 0; from < count; from += atOnce) upper.add(values.subarray(from, from + atOnce));
    expect(upper.quantile()).toBe(quantile(values, q));
  }
});
