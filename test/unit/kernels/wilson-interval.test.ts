import { expect, test } from 'vitest';
import { wilsonInterval } from '../../../src/shared/kernels/wilson-interval.js';
import { expectClose } from '../../helpers/arrays.js';

// Each end p solves (count / total - p)² = z² p (1 - p) / total: solved here by halving, not by the formula.
function endBetween(count: number, total: number, inside: number, outside: number): number {
  const z = 1.959963984540054;
  for (let step = 0; step < 100; step++) {
    const p = (inside + outside) / 2;
    if ((count / total - p) ** 2 <= (z ** 2 * p * (1 - p)) / total) inside = p;
    else outside = p;
  }
  return inside;
}

test.each([
  [0, 1],
  [0, 40],
  [1, 10],
  [15, 190],
  [5, 10],
  [39, 40],
  [40, 40],
])('%i of %i', (count, total) => {
  const rate = count / total;
  const want = [endBetween(count, total, rate, 0), endBetween(count, total, rate, 1)];
  expectClose(wilsonInterval(count, total)!, want, { atol: 1e-12 });
});

test('the published interval of 15 in 148', () => {
  // Newcombe, Statistics in Medicine 17 (1998), table I, method 3.
  expectClose(wilsonInterval(15, 148)!, [0.0624, 0.1605], { atol: 5e-5 });
});

test('nothing seen, nothing known', () => {
  expect(wilsonInterval(0, 0)).toBeNull();
});
