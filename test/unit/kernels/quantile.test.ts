import { expect, test } from 'vitest';
import { mean, median, quantile, variance } from '../../../src/shared/kernels/quantile.js';
import { createRandom } from '../../../src/shared/kernels/random.js';
import { expectClose } from '../../helpers/arrays.js';

test('interpolates linearly between sorted values', () => {
  const values = [4, 1, 3, 2];
  expectClose(
    [0, 0.25, 0.5, 0.8, 1].map((q) => quantile(values, q)),
    [1, 1.75, 2.5, 3.4, 4],
    { atol: 1e-12 },
  );
  expect(values).toEqual([4, 1, 3, 2]);
  expect(median([5, 1, 3])).toBe(3);
  expect(quantile([7], 0.3)).toBe(7);
});

test('equals the quantile of the sorted array, also with many ties', () => {
  const random = createRandom(1);
  for (let round = 0; round < 300; round++) {
    const length = 1 + random.integer(60);
    const values = Float32Array.from({ length }, () => (round % 2 ? random.normal() : random.integer(4)));
    const sorted = values.slice().sort();
    const q = round % 5 === 0 ? random.integer(2) : random.uniform();
    const position = q * (length - 1);
    const [lower, upper] = [sorted[Math.floor(position)]!, sorted[Math.ceil(position)]!];
    expectClose([quantile(values, q)], [lower + (upper - lower) * (position % 1)], { rtol: 1e-12 }, `round ${round}`);
  }
});

test('sorted, reversed and constant arrays take no quadratic time', () => {
  const n = 300_000;
  const ascending = Float32Array.from({ length: n }, (_, i) => i);
  expect(quantile(ascending, 1)).toBe(n - 1);
  expect(quantile(ascending.toReversed(), 0.5)).toBe((n - 1) / 2);
  expect(median(new Float32Array(n).fill(2))).toBe(2);
});

test('mean and population variance', () => {
  expect(mean([1, 2, 3, 6])).toBe(3);
  expect(variance([1, 2, 3, 6])).toBe(3.5);
  expect(variance(Float32Array.of(1e4, 1e4 + 1))).toBe(0.25);
});

test('NaN is not lost and no values are an error', () => {
  expect(quantile([1, Number.NaN, 3], 0)).toBeNaN();
  for (const call of [() => median([]), () => mean([]), () => variance([])]) {
    expect(call).toThrowError(expect.objectContaining({ code: 'SHAPE_MISMATCH' }));
  }
});
