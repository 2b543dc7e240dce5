import { describe, expect, test } from 'vitest';
import { nearestNeighbors } from '../../../src/shared/kernels/nearest-neighbors.js';
import { createRandom } from '../../../src/shared/kernels/random.js';
import { expectClose } from '../../helpers/arrays.js';
import { goldenCases } from '../../helpers/golden.js';

test.each(goldenCases('nearest-neighbors'))('golden case $name', (golden) => {
  const queries = golden.float32('queries');
  const found = nearestNeighbors(
    queries.data,
    golden.float32('bank').data,
    queries.shape[1]!,
    golden.params.numNeighbors!,
  );
  expect(found.neighbors).toBe(golden.params.effectiveNeighbors);
  golden.check({ index: found.index, distance: found.distance, squared_distance: found.squaredDistance });
});

describe('properties', () => {
  const [M, D] = [60, 12];
  const random = createRandom(2);
  const bank = Float32Array.from({ length: M * D }, random.normal);

  test('a bank row lies at distance 0 from its bank', () => {
    const { index, distance } = nearestNeighbors(bank, bank, D, 1);
    expectClose(distance, new Float64Array(M));
    expectClose(
      index,
      Int32Array.from({ length: M }, (_, i) => i),
    );
  });

  test('the order of the bank changes the row numbers and nothing else', () => {
    const queries = Float32Array.from({ length: 7 * D }, random.normal);
    const order = random.permutation(M);
    const shuffled = Float32Array.from(bank, (_, i) => bank[order[Math.floor(i / D)]! * D + (i % D)]!);
    const plain = nearestNeighbors(queries, bank, D, 5);
    const other = nearestNeighbors(queries, shuffled, D, 5);
    expectClose(other.distance, plain.distance);
    expectClose(
      other.index.map((row) => order[row]!),
      plain.index,
    );
  });

  test('a row that is not whole is SHAPE_MISMATCH', () => {
    expect(() => nearestNeighbors(bank.subarray(1), bank, D, 1)).toThrowError(
      expect.objectContaining({ code: 'SHAPE_MISMATCH', message: expect.stringContaining('for queries') }),
    );
    expect(() => nearestNeighbors(bank, bank, 7, 1)).toThrowError(expect.objectContaining({ code: 'SHAPE_MISMATCH' }));
  });
});
