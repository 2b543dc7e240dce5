import { expect, test } from 'vitest';
import { calibrate, createUpperQuantile } from '../../../src/fit/calibration.js';
import { upsampleMap } from '../../../src/shared/kernels/anomaly-map.js';
import { quantile } from '../../../src/shared/kernels/quantile.js';
import { createRandom } from '../../../src/shared/kernels/random.js';
import { float32 } from '../../helpers/arrays.js';

const random = createRandom(51);
const input = { height: 64, width: 96 };
const grid = { height: 4, width: 6 };
const [H, W, h, w] = [64, 96, 4, 6];
const P = h * w;
const settings = { thresholdFactor: 2, topFraction: 0.1, mapSigma: 4 };

test('threshold and map quantile are those of the held-out scores and maps', () => {
  const N = 30;
  const heldOut = float32(N * P, () => 1 + 0.2 * random.normal());
  const statistics = { means: float32(P, () => 1), scales: float32(P, (p) => 0.1 + 0.01 * p) };
  const found = calibrate(heldOut, statistics, input, grid, settings);

  const rows = Array.from({ length: N }, (_, n) => [...heldOut.subarray(n * P, (n + 1) * P)]);
  const scores = rows.map((distances) => {
    const z = distances.map((distance, p) => (distance - statistics.means[p]!) / statistics.scales[p]!);
    return (Math.max(...z) + z.toSorted((a, b) => b - a)[1]!) / 2; // 10 % of 24 patches are 2
  });
  const median = quantile(scores, 0.5);
  const spread = quantile(scores, 0.8413) - median;
  const maps = rows.flatMap((distances) => [
    ...upsampleMap(
      Float32Array.from(distances, (distance, p) => distance - statistics.means[p]!),
      h,
      w,
      H,
      W,
      4,
    ),
  ]);
  expect(found.median).toBeCloseTo(median, 9);
  expect(found.spread).toBeCloseTo(spread, 9);
  expect(found.threshold).toBeCloseTo(median + 2 * spread, 9);
  expect(found.mapQuantile).toBeCloseTo(quantile(maps, 0.999), 6);
});

test('where all images are alike the threshold still lies above the median', () => {
  const statistics = { means: new Float32Array(P).fill(0.4), scales: new Float32Array(P).fill(0.1) };
  const found = calibrate(new Float32Array(6 * P).fill(0.5), statistics, input, grid, settings);
  expect(found.threshold).toBeGreaterThan(found.median);
  expect(found.spread).toBe(1e-9);
});

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
