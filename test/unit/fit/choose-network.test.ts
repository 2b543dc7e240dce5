import { expect, test } from 'vitest';
import { featureError } from '../../../src/fit/choose-network.js';
import { createRandom } from '../../../src/shared/kernels/random.js';
import { patchVectorLength } from '../../../src/shared/networks.js';
import { float32 } from '../../helpers/arrays.js';

const random = createRandom(61);
const exact = [0, 1].map(() =>
  float32(50 * patchVectorLength, (i) => 100 * ((i % patchVectorLength) % 3) + random.normal()),
);

test('is relative to the deviation of each channel, not to its size', () => {
  const off = exact.map((vectors) => vectors.map((value) => value + 0.2 * random.normal()));
  expect(featureError(exact, off)).toBeGreaterThan(0.19);
  expect(featureError(exact, off)).toBeLessThan(0.215);
  expect(featureError(exact, exact)).toBe(0);
});

test('is 0 where no feature varies', () => {
  const flat = [new Float32Array(2 * patchVectorLength).fill(3)];
  expect(featureError(flat, flat)).toBe(0);
});
