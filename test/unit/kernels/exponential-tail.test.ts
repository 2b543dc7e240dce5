import { describe, expect, test } from 'vitest';
import {
  bootstrapRateInterval,
  fitTail,
  rateAbove,
  thresholdFor,
} from '../../../src/shared/kernels/exponential-tail.js';
import { quantile } from '../../../src/shared/kernels/quantile.js';
import { createRandom } from '../../../src/shared/kernels/random.js';

const random = createRandom(91);
const exponential = (count: number, scale = 1) =>
  Float64Array.from({ length: count }, () => -scale * Math.log(1 - random.uniform()));
const sortedOf = (scores: ArrayLike<number>) => Float64Array.from(scores).sort();

describe('the tail', () => {
  test('is the upper tenth, at least ten and at most half of the scores', () => {
    const imagesOf = (count: number) => fitTail(sortedOf(exponential(count))).images;
    expect([1000, 762, 101, 100, 40, 20, 10, 5, 2].map(imagesOf)).toEqual([100, 77, 11, 10, 10, 10, 5, 2, 1]);
    expect(() => fitTail(Float64Array.of(1))).toThrow(/at least 2 scores but received 1/);
  });

  test('starts at the largest score below it; its scale is that of the censored likelihood', () => {
    const sorted = sortedOf(exponential(200, 3));
    const start = sorted[179]!;
    const largest = sorted[195]!; // the four above it count as if they were as large
    const excess = sorted.slice(180).map((score) => Math.min(score, largest) - start);
    const { start: found, scale } = fitTail(sorted);
    expect(found).toBe(start);
    expect(scale).toBeCloseTo(excess.reduce((sum, value) => sum + value) / 16, 12);
    expect(fitTail(sortedOf(exponential(20_000, 3))).scale).toBeCloseTo(3, 0);
  });

  test('is the same however far out its largest fifth lies', () => {
    const sorted = sortedOf(exponential(200));
    const odd = sorted.map((score, i) => (i >= 196 ? score + 1000 : score));
    expect(fitTail(odd)).toEqual(fitTail(sorted));
  });

  test('gives a rate for each threshold and the threshold for each rate', () => {
    const sorted = sortedOf(exponential(500));
    const tail = fitTail(sorted);
    for (const rate of [0.09, 0.02, 0.001, 1e-6]) {
      expect(rateAbove(thresholdFor(rate, sorted, tail), sorted, tail)).toBeCloseTo(rate, 12);
    }
    expect(thresholdFor(0.1 / Math.E, sorted, tail)).toBeCloseTo(tail.start + tail.scale, 9);
  });

  test('says nothing of what lies below it: there scores are counted', () => {
    const sorted = sortedOf(exponential(500));
    const tail = fitTail(sorted);
    const threshold = thresholdFor(0.3, sorted, tail);
    expect(threshold).toBe(quantile(sorted, 0.7));
    expect(rateAbove(threshold, sorted, tail)).toBe(0.3);
    expect(rateAbove(sorted[0]!, sorted, tail)).toBe(1);
  });

  test('of scores that are all alike has no length', () => {
    const alike = new Float64Array(30).fill(2);
    const tail = fitTail(alike);
    expect(thresholdFor(0.01, alike, tail)).toBeCloseTo(2, 6);
    expect(rateAbove(2.001, alike, tail)).toBe(0);
  });
});

describe('the interval', () => {
  /** Of forty samples, in how many the true rate lies in the interval, and the widths of all. */
  function cover(count: number, rate: number) {
    const rounds = Array.from({ length: 40 }, (_, seed) => {
      const scores = exponential(count);
      const sorted = sortedOf(scores);
      const threshold = thresholdFor(rate, sorted, fitTail(sorted));
      const [low, high] = bootstrapRateInterval(threshold, scores, seed);
      expect(low).toBeLessThan(rate);
      expect(high).toBeGreaterThan(rate);
      const truth = Math.exp(-threshold);
      return { held: truth >= low && truth <= high, width: high - low };
    });
    const widths = Float64Array.from(rounds, ({ width }) => width);
    return { held: rounds.filter(({ held }) => held).length, width: quantile(widths, 0.5) };
  }

  test('holds the true rate about 38 times in 40, and narrows with more images', () => {
    const [few, many] = [cover(120, 0.02), cover(600, 0.02)];
    for (const { held } of [few, many]) expect(held).toBeGreaterThanOrEqual(33);
    expect(many.width).toBeLessThan(0.5 * few.width);
  });

  test('is the same for the same seed and another for another', () => {
    const scores = exponential(200);
    const of = (seed: number) => bootstrapRateInterval(4, scores, seed);
    expect(of(1)).toEqual(of(1));
    expect(of(1)).not.toEqual(of(2));
  });
});
