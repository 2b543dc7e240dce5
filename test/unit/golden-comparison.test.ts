import { expect, test } from 'vitest';
import { expectClose } from '../helpers/arrays.js';
import { goldenCase } from '../helpers/golden.js';

// The comparisons that other tests rest on have to be able to fail.

test('a difference beyond the tolerance is counted and its worst place named', () => {
  expectClose([1, 2, 100.9], [1, 2, 100], { rtol: 0.01 });
  expect(() => expectClose([1.5, 2, 4], [1, 2, 3], { atol: 0.1 }, 'map')).toThrowError(
    'map: 2 of 3 elements differ by more than 0.1 + 0 |want|; the largest difference is 1 at 2: got 4, want 3',
  );
});

test.each([
  ['NaN where a number is wanted', [Number.NaN], [1]],
  ['NaN where NaN is wanted', [Number.NaN], [Number.NaN]],
  ['another infinity', [Number.NEGATIVE_INFINITY], [Number.POSITIVE_INFINITY]],
  ['fewer elements', [1], [1, 2]],
  ['more elements', [1, 2], [1]],
])('%s fails', (_, got, want) => {
  expect(() => expectClose(got, want, { atol: 10, rtol: 0.5 })).toThrowError();
});

const golden = goldenCase('nearest-neighbors', 'k1');
const output = (name: string) => golden.output(name).data;
const right = { index: output('index'), distance: output('distance'), squared_distance: output('squared_distance') };

test('a golden case passes on its own outputs only', () => {
  golden.check(right);
  const distance = Float32Array.from(right.distance as Float32Array);
  distance[5]! += 1e-3;
  expect(() => golden.check({ ...right, distance })).toThrowError('nearest-neighbors/k1 distance: 1 of 20 elements');
  const index = Array.from(right.index, Number);
  index[0]! += 1; // within the tolerance of the case, which is for its real numbers
  expect(() => golden.check({ ...right, index })).toThrowError('nearest-neighbors/k1 index: 1 of 20 elements');
});

test('an output that is neither compared nor named as not ours fails, and so does one that does not exist', () => {
  const { index, distance } = right;
  golden.check({ index, distance }, ['squared_distance']);
  expect(() => golden.check({ index, distance })).toThrowError();
  expect(() => golden.check(right, ['peer_score'])).toThrowError();
  expect(() => golden.check(right, ['index'])).toThrowError();
});
