import { expect, test } from 'vitest';
import { mean, variance } from '../../../src/shared/kernels/quantile.js';
import { createRandom, createXoshiro128, randomProjection, splitMix64 } from '../../../src/shared/kernels/random.js';
import { expectClose } from '../../helpers/arrays.js';

test('xoshiro128** draws the reference sequence', () => {
  const next = createXoshiro128(Uint32Array.of(1, 2, 3, 4));
  const want = [11520, 0, 5927040, 70819200, 2031721883, 1637235492, 1287239034, 3734860849, 3729100597, 4258142804];
  expectClose(want.map(next), want);
});

test('SplitMix64 gives the reference outputs of seed 0', () => {
  expectClose(splitMix64(0), [0x7b1dcdaf, 0xe220a839, 0xa1b965f4, 0x6e789e6a]);
});

test('a seed always gives the same numbers, another seed others', () => {
  const draw = (seed: number) => {
    const random = createRandom(seed);
    return [random.uniform(), random.normal(), random.integer(1000), ...random.permutation(4)];
  };
  expect(draw(7)).toEqual(draw(7));
  expect(draw(7)).not.toEqual(draw(8));
  expect(draw(2 ** 40 + 7)).not.toEqual(draw(7));
  expect(draw(0)).toEqual([0.870254774404272, -0.7187656640590994, 759, 1, 0, 3, 2]);
});

test('uniform numbers fill [0, 1) evenly', () => {
  const random = createRandom(3);
  const values = Float64Array.from({ length: 100_000 }, random.uniform);
  expect(values.every((value) => value >= 0 && value < 1)).toBe(true);
  expect(mean(values)).toBeCloseTo(1 / 2, 2);
  expect(variance(values)).toBeCloseTo(1 / 12, 2);
});

test('normal numbers have the moments and the tails of the normal distribution', () => {
  const random = createRandom(4);
  const values = Float64Array.from({ length: 200_000 }, random.normal);
  const moment = (power: number) => mean(values.map((value) => value ** power));
  expect(moment(1)).toBeCloseTo(0, 1);
  expectClose([moment(2), moment(4)], [1, 3], { rtol: 0.02 });
  const share = (limit: number) => values.filter((value) => Math.abs(value) > limit).length / values.length;
  expectClose([share(1), share(2), share(3)], [0.3173, 0.0455, 0.0027], { rtol: 0.03, atol: 4e-4 });
});

test('a permutation holds every number once, each place equally likely', () => {
  const random = createRandom(5);
  expectClose(
    random.permutation(1000).sort(),
    Int32Array.from({ length: 1000 }, (_, i) => i),
  );
  const counts = new Float64Array(9);
  for (let i = 0; i < 30_000; i++) random.permutation(3).forEach((value, place) => void counts[3 * place + value]!++);
  expectClose(counts, new Float64Array(9).fill(10_000), { rtol: 0.03 });
  expect(random.permutation(0)).toHaveLength(0);
});

test('a random projection keeps lengths on average', () => {
  const [D, d] = [300, 64];
  const projection = randomProjection(D, d, createRandom(6));
  expect(projection).toHaveLength(D * d);
  const lengths = Float64Array.from({ length: D }, (_, i) =>
    projection.subarray(i * d, (i + 1) * d).reduce((sum, x) => sum + x * x, 0),
  );
  expect(mean(lengths)).toBeCloseTo(1, 1);
});
