import { expect, test } from 'vitest';
import { createRandom } from '../../../src/shared/kernels/random.js';
import { sortFloats } from '../../../src/shared/kernels/sort-floats.js';
import { expectClose } from '../../helpers/arrays.js';

const bitsOf = (values: Float32Array) => new Uint32Array(values.slice().buffer);

test.each([0, 1, 1000, 50_000])('%i values come out as from the native sort, to the bit', (n) => {
  const random = createRandom(1);
  const values = Float32Array.from({ length: n }, () => random.normal() * 10 ** (random.integer(60) - 30));
  values.set([Number.POSITIVE_INFINITY, -0, 0, Number.NEGATIVE_INFINITY, 2 ** -149, -(2 ** -149), 0, -0].slice(0, n));
  const before = bitsOf(values);
  expectClose(bitsOf(sortFloats(values)), bitsOf(values.toSorted()));
  expectClose(bitsOf(values), before, {}, 'the values given');
});

test('sorts the part of a larger array that it is given', () => {
  const values = Float32Array.from({ length: 60_000 }, (_, i) => -i);
  expect(sortFloats(values.subarray(10_000, 40_000))[0]).toBe(-39_999);
});
