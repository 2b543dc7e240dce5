import { expect, test } from 'vitest';
import type { Box } from '../../../src/shared/kernels/connected-region.js';
import { createRandom } from '../../../src/shared/kernels/random.js';
import { boxInOriginal, pixelInOriginal } from '../../../src/shared/patchcore/location.js';

const input = { height: 192, width: 288 };

test.each<[string, { height: number; width: number }, Box]>([
  ['a larger original', { height: 480, width: 720 }, [25, 50, 25, 10]],
  ['the same size', input, [10, 20, 10, 4]],
  ['a smaller original: whole pixels that hold the box', { height: 120, width: 180 }, [6, 12, 7, 3]],
])('a box in %s', (_, original, box) => {
  expect(boxInOriginal([10, 20, 10, 4], input, original)).toEqual(box);
});

test('a peak in a larger and a smaller original', () => {
  expect(pixelInOriginal([10, 20], input, { height: 480, width: 720 })).toEqual([26, 51]);
  expect(pixelInOriginal([287, 191], input, { height: 10, width: 12 })).toEqual([11, 9]);
  expect(pixelInOriginal([0, 0], input, { height: 10, width: 12 })).toEqual([0, 0]);
});

test('the whole input is the whole original, and a peak lies in the box of its own pixel', () => {
  const random = createRandom(91);
  for (let round = 0; round < 500; round++) {
    const original = { height: 1 + random.integer(900), width: 1 + random.integer(900) };
    expect(boxInOriginal([0, 0, 288, 192], input, original)).toEqual([0, 0, original.width, original.height]);
    const [x, y] = [random.integer(288), random.integer(192)];
    const [peakX, peakY] = pixelInOriginal([x, y], input, original);
    const [left, top, width, height] = boxInOriginal([x, y, 1, 1], input, original);
    expect([peakX >= left, peakX < left + width, peakY >= top, peakY < top + height]).toEqual(Array(4).fill(true));
  }
});
