import { expect, test } from 'vitest';
import { greedyCoreset } from '../../../src/shared/kernels/greedy-coreset.js';
import { nearestNeighbors } from '../../../src/shared/kernels/nearest-neighbors.js';
import { createRandom } from '../../../src/shared/kernels/random.js';
import { expectClose } from '../../helpers/arrays.js';
import { goldenCases } from '../../helpers/golden.js';

test.each(goldenCases('coreset'))('golden case $name', (golden) => {
  const { data, shape } = golden.float32('embedding');
  const { size, start } = golden.params;
  if (start === undefined) {
    const meanDistanceTo = Array.from(golden.int64('start_points').data, Number);
    golden.check({ index: greedyCoreset(data, shape[1]!, size!, { meanDistanceTo }).index });
  } else {
    const { index, radius } = greedyCoreset(data, shape[1]!, size!, { rows: [start] });
    golden.check({ index, radius });
  }
});

const [N, D] = [80, 5];
const random = createRandom(1);
const rows = Float32Array.from({ length: N * D }, random.normal);
const rowsAt = (index: ArrayLike<number>) =>
  Float32Array.from({ length: index.length * D }, (_, i) => rows[index[Math.floor(i / D)]! * D + (i % D)]!);

test('each choice is the row farthest from the start rows and the choices before', () => {
  const startRows = [3, 14, 15];
  const { index, radius } = greedyCoreset(rows, D, 20, { rows: startRows });
  expectClose(index.subarray(0, 3), startRows);
  for (let chosen = 3; chosen < 20; chosen++) {
    const { distance } = nearestNeighbors(rows, rowsAt(index.subarray(0, chosen)), D, 1);
    const largest = Math.max(...distance);
    expectClose([index[chosen]!, radius[chosen - 3]!], [distance.indexOf(largest), largest]);
  }
});

test('from the mean distance to some rows, the first choice has the largest and none of them is chosen for being one', () => {
  const meanDistanceTo = [3, 14];
  const { index, radius } = greedyCoreset(rows, D, 20, { meanDistanceTo });
  const { neighbors, distance } = nearestNeighbors(rows, rowsAt(meanDistanceTo), D, 2);
  const means = Float64Array.from(
    { length: N },
    (_, n) => (distance[n * neighbors]! + distance[n * neighbors + 1]!) / 2,
  );
  const largest = Math.max(...means);
  expect(index[0]).toBe(means.indexOf(largest));
  expectClose([radius[0]!], [largest], { rtol: 1e-6 });
  expect(radius.length).toBe(20);
});

test('the whole set chooses every row once', () => {
  const { index, radius } = greedyCoreset(rows, D, N, { rows: [7] });
  expectClose(
    index.toSorted(),
    Int32Array.from({ length: N }, (_, i) => i),
  );
  expect(radius.every((value, i) => i === 0 || value <= radius[i - 1]!)).toBe(true);
});

test('the order of the rows changes their numbers and nothing else', () => {
  const order = random.permutation(N);
  const plain = greedyCoreset(rows, D, 12, { rows: [order[0]!] });
  const shuffled = greedyCoreset(rowsAt(order), D, 12, { rows: [0] });
  expectClose(
    shuffled.index.map((row) => order[row]!),
    plain.index,
  );
});

test.each([
  ['no start row', 5, { rows: [] }],
  ['no row to measure to', 5, { meanDistanceTo: [] }],
  ['more start rows than the size', 1, { rows: [1, 2] }],
  ['more than there are', N + 1, { rows: [0] }],
])('%s is SHAPE_MISMATCH', (_, size, start) => {
  expect(() => greedyCoreset(rows, D, size, start)).toThrowError(expect.objectContaining({ code: 'SHAPE_MISMATCH' }));
});
