import { expect, test } from 'vitest';
import { createRandom } from '../../../src/shared/kernels/random.js';
import {
  aboveByChance,
  countInBins,
  indexByChance,
  probabilityAbove,
  quantileBins,
  stabilityIndex,
} from '../../../src/shared/kernels/stability-index.js';
import { expectClose } from '../../helpers/arrays.js';

const upTo = (n: number) => Float64Array.from({ length: n }, (_, i) => i + 1);

test('bins hold as many reference values each, and whatever lies outside', () => {
  const { edges, counts } = quantileBins(upTo(100).reverse(), 4);
  expectClose(edges, [25.75, 50.5, 75.25], { atol: 1e-12 });
  expect([...counts]).toEqual([25, 25, 25, 25]);
  expect([...countInBins([-1e9, 25.75, 25.8, 1e9, 1e9], edges)]).toEqual([2, 1, 0, 2]);
});

test('tied values share a bin, and no bin lies beyond the reference', () => {
  const zeros = quantileBins([0, 0, 0, 0, 0, 0, 1, 2, 3, 4], 5);
  expectClose(zeros.edges, [0, 0.4, 2.2], { atol: 1e-12 });
  expect([...zeros.counts]).toEqual([6, 0, 2, 2]);
  expect([...quantileBins([1, 2, 9, 9, 9, 9], 3).counts]).toEqual([2, 4]);
  const alike = quantileBins([7, 7, 7], 10);
  expect([...alike.counts]).toEqual([3]);
  expect(stabilityIndex(countInBins([1, 8], alike.edges), alike.counts)).toBe(0);
  expect(indexByChance(1, 2, 3, 2.326)).toBe(0);
});

test('the index of counts worked out by hand', () => {
  // With half an image more in each bin: shares 0.3, 0.7 against 0.5, 0.5.
  const index = stabilityIndex(Float64Array.of(2.5, 6.5), Float64Array.of(4.5, 4.5));
  expectClose([index], [-0.2 * Math.log(0.6) + 0.2 * Math.log(1.4)], { atol: 1e-12 });
  expect(stabilityIndex(Float64Array.of(30, 60), Float64Array.of(10, 20))).toBeLessThan(1e-3);
  expect(stabilityIndex(Float64Array.of(0, 100), Float64Array.of(100, 0))).toBeGreaterThan(5); // empty bins are no infinity
  expect(() => stabilityIndex(Float64Array.of(1), Float64Array.of(1, 1))).toThrow(/counts/);
});

test('quantiles of chi-square as tables have them', () => {
  const tabled = { 1: 6.635, 4: 13.277, 9: 21.666 }; // 99 %
  for (const [freedom, quantile] of Object.entries(tabled)) {
    const bound = indexByChance(Number(freedom) + 1, 100, 300, 2.326);
    expectClose([bound / (1 / 100 + 1 / 300)], [quantile], { atol: 0, rtol: 0.01 });
  }
});

// Of 1000 comparisons 10 are expected; more than 22 happen by chance once in ten thousand runs, and few would be a bound too far off.
test.each([
  [20, 50, 0],
  [60, 50, 0],
  [200, 200, 1],
  [762, 1000, 1],
])('with %i reference values and %i others of one distribution, 1 in 100 exceeds the bound at most', (m, n, least) => {
  const { normal } = createRandom(m);
  let exceeded = 0;
  for (let comparison = 0; comparison < 1000; comparison++) {
    const { edges, counts } = quantileBins(Float64Array.from({ length: m }, normal), 10);
    const index = stabilityIndex(countInBins(Float64Array.from({ length: n }, normal), edges), counts);
    if (index > indexByChance(10, n, m, 2.326)) exceeded++;
  }
  expect(exceeded).toBeLessThanOrEqual(22);
  expect(exceeded).toBeGreaterThanOrEqual(least);
});

test('how likely values lie above the reference', () => {
  const counts = (...values: number[]) => Float64Array.from(values);
  expect(probabilityAbove(counts(3, 3), counts(50, 50))).toBe(0.5);
  expect(probabilityAbove(counts(0, 5), counts(7, 0))).toBe(1);
  expect(probabilityAbove(counts(5, 0), counts(0, 7))).toBe(0);
  expect(probabilityAbove(counts(1, 3), counts(1, 1))).toBe((1 * 0.5 + 3 * 1.5) / (4 * 2));
  // The variance of the Mann-Whitney statistic: (n + m + 1) / (12 n m), next to (n + m) / (12 n m).
  expectClose([aboveByChance(100, 300, 2)], [0.5 + 2 * Math.sqrt(401 / (12 * 100 * 300))], { atol: 1e-3 });
});
