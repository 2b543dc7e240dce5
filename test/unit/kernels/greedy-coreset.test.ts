import { expect, test } from 'vitest';
import { greedyCoreset } from '../../../src/shared/kernels/greedy-coreset.js';
import { nearestNeighbors } from '../../../src/shared/kernels/nearest-neighbors.js';
import { createRandom } from '../../../src/shared/kernels/random.js';
import { expectClose } from '../../helpers/arrays.js';
import { goldenCases } from '../../helpers/golden.js';

test.each(goldenCases('coreset'))('golden case $name', (golden) => {
  const { data, shape } = golden.float32('embedding');
  const { index, radius } = greedyCoreset(data, shape[1]!, golden.params.size!, [golden.params.start!]);
  golden.check({ index, radius });
});

const [N, D] = [80, 5];
const random = createRandom(1);
const rows = Float32Array.from({ length: N * D }, random.normal);
const rowsAt = (index: ArrayLike<number>) =>
  Float32Array.from({ length: index.length * D }, (_, i) => rows[index[Math.floor(i / D)]! * D + (i % D)]!);

test('each choice is the row farthest from the start rows and the choices before', () => {
  const startRows = [3, 14, 15];
  const { index, radius } = greedyCoreset(rows, D, 20, startRows);
  expectClose(index.subarray(0, 3), startRows);
  for (let chosen = 3; chosen < 20; chosen++) {
    const { distance } = nearestNeighbors(rows, rowsAt(index.subarray(0, chosen)), D, 1);
    const largest = Math.max(...distance);
    expectClose([index[chosen]!, radius[chosen - 3]!], [distance.indexOf(largest), largest]);
  }
});

test('the whole set chooses every row once', () => {
  const { index, radius } = greedyCoreset(rows, D, N, [7]);
  expectClose(
    index.toSorted(),
    Int32Array.from({ length: N }, (_, i) => i),
  );
  expect(radius.every((value, i) => i === 0 || value <= radius[i - 1]!)).toBe(true);
});

test('the order of the rows changes their numbers and nothing else', () => {
  const order = random.permutation(N);
  const plain = greedyCoreset(rows, D, 12, [order[0]!]);
  const shuffled = greedyCoreset(rowsAt(order), D, 12, [0]);
  expectClose(
    shuffled.index.map((row) => order[row]!),
    plain.index,
  );
});

test.each([
  ['no start row', 5, []],
  ['more start rows than the size', 1, [1, 2]],
  ['more than there are', N + 1, [0]],
])('%s is SHAPE_MISMATCH', (_, size, startRows) => {
  expect(() => greedyCoreset(rows, D, size, startRows)).toThrowError(
    expect.objectContaining({ code: 'SHAPE_MISMATCH' }),
  );
});
