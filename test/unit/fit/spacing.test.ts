import { expect, test } from 'vitest';
import { spacingOf } from '../../../src/fit/spacing.js';
import { nearestNeighbors } from '../../../src/shared/kernels/nearest-neighbors.js';
import { createRandom } from '../../../src/shared/kernels/random.js';
import { expectClose, float32 } from '../../helpers/arrays.js';

const random = createRandom(21);

/** Mean distance to the 5 nearest other rows over its mean; each row's nearest is itself. */
function plainly(rows: Float32Array, dims: number): Float64Array {
  const { distance } = nearestNeighbors(rows, rows, dims, 6);
  const means = Float64Array.from({ length: rows.length / dims }, (_, row) =>
    distance.subarray(row * 6 + 1, row * 6 + 6).reduce((sum, value) => sum + value / 5, 0),
  );
  const mean = means.reduce((sum, value) => sum + value / means.length, 0);
  return means.map((value) => Math.max(value / mean, 0.001));
}

test.each([
  ['in one chunk', 40, 3],
  ['in several chunks', 1200, 16],
  ['with fewer rows than candidates', 9, 2],
])('is the mean distance to the five nearest other rows, %s', async (_, count, dims) => {
  const rows = float32(count * dims, random.normal);
  expectClose(await spacingOf(rows, dims, 1e6), plainly(rows, dims), { rtol: 1e-5 });
});

test('distances of rows far from the origin keep their digits', async () => {
  const [count, dims] = [50, 4];
  const rows = float32(count * dims, (i) => 10 * (i % dims) + random.normal() * 0.1);
  expectClose(await spacingOf(rows, dims, 1e6), plainly(rows, dims), { rtol: 1e-5 });
});

test('copies count as near as the floor allows', async () => {
  const rows = float32(2 * 20, (i) => (i < 20 ? 3 : random.normal()));
  const spacing = await spacingOf(rows, 2, 1e6);
  expectClose(spacing.subarray(0, 10), new Float32Array(10).fill(0.001));
});

test.each([
  ['keeps more than half of the patches', 40, 79],
  ['has six rows', 6, 1000],
])('is 1 everywhere where the bank %s', async (_, count, patches) => {
  expectClose(await spacingOf(float32(count * 3, random.normal), 3, patches), new Float32Array(count).fill(1));
});

test('is not 1 everywhere where the bank keeps just half of the patches', async () => {
  const spacing = await spacingOf(float32(40 * 3, random.normal), 3, 80);
  expect(new Set(spacing).size).toBeGreaterThan(1);
});
