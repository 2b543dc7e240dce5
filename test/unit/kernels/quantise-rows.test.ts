import { expect, test } from 'vitest';
import { quantiseRows } from '../../../src/shared/kernels/quantise-rows.js';
import { createRandom } from '../../../src/shared/kernels/random.js';
import { float32 } from '../../helpers/arrays.js';

test('each row is off by half of its own step at most, and its largest value is 63 steps', () => {
  const random = createRandom(93);
  const [R, K] = [4, 500];
  const rows = float32(R * K, (i) => 10 ** Math.floor(i / K) * random.normal());
  const { steps, scales } = quantiseRows(rows, K);
  for (let row = 0; row < R; row++) {
    const ofRow = steps.subarray(row * K, (row + 1) * K);
    expect(Math.max(...ofRow.map(Math.abs))).toBe(63);
    const errors = Array.from(ofRow, (step, k) => Math.abs(step * scales[row]! - rows[row * K + k]!));
    expect(Math.max(...errors)).toBeLessThanOrEqual(0.5001 * scales[row]!);
  }
});

test('a row of zeros stays one', () => {
  expect(quantiseRows(Float32Array.of(0, 0, 1, -3), 2)).toEqual({
    steps: Int8Array.of(0, 0, 21, -63),
    scales: Float32Array.of(0, 3 / 63),
  });
});

test('rows that are not whole are SHAPE_MISMATCH', () => {
  expect(() => quantiseRows(new Float32Array(5), 2)).toThrowError(expect.objectContaining({ code: 'SHAPE_MISMATCH' }));
});
