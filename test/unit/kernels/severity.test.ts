import { expect, test } from 'vitest';
import { severityOf } from '../../../src/shared/kernels/severity.js';

test('0 at the median, 100 at the threshold, linear between and beyond', () => {
  expect([1, 1.5, 2, 3, 0].map((score) => severityOf(score, 1, 2))).toEqual([0, 50, 100, 200, -100]);
});

test.each([
  [1, 1],
  [1, 0.5],
])('median %d and threshold %d: finite, and never against the verdict', (median, threshold) => {
  expect(severityOf(threshold, median, threshold)).toBe(100);
  const above = severityOf(threshold + 0.5, median, threshold);
  const below = severityOf(threshold - 0.5, median, threshold);
  expect(above).toBeGreaterThan(100);
  expect(below).toBeLessThan(100);
  expect(Number.isFinite(above) && Number.isFinite(below)).toBe(true);
});
