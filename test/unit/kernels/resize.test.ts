import { expect, test } from 'vitest';
import { resizeAntialiased, resizeBilinear, resizeNearest } from '../../../src/shared/kernels/resize.js';
import { expectClose, float32 } from '../../helpers/arrays.js';
import { goldenCases } from '../../helpers/golden.js';

test.each(goldenCases('resize'))('golden case $name', (golden) => {
  const { data, shape } = golden.uint8('image');
  const [h, w] = shape as [number, number];
  const planes = float32(3 * h * w, (i) => data[(i % (h * w)) * 3 + Math.floor(i / (h * w))]!);
  const { height: H, width: W } = golden.params as { height: number; width: number };
  golden.check(
    {
      torch_bilinear: resizeBilinear(planes, h, w, H, W),
      torch_bilinear_antialias: resizeAntialiased(planes, h, w, H, W),
    },
    ['pillow_bilinear', 'pillow_bicubic', 'cv2_linear'],
  );
});

test('without shrinking, averaging changes nothing', () => {
  const planes = float32(2 * 5 * 4, (i) => (i * 37) % 11);
  expectClose(resizeAntialiased(planes, 5, 4, 9, 13), resizeBilinear(planes, 5, 4, 9, 13), { atol: 1e-5 });
});

test('nearest takes the value at the centre of each pixel', () => {
  const mask = Uint8Array.of(1, 2, 3, 4, 5, 6);
  expectClose(resizeNearest(mask, 2, 3, 2, 3), mask);
  expectClose(
    resizeNearest(mask, 2, 3, 4, 6),
    [1, 1, 2, 2, 3, 3, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 4, 4, 5, 5, 6, 6],
  );
  expectClose(resizeNearest(mask, 2, 3, 1, 1), [5]);
  expectClose(resizeNearest(Uint8Array.of(1, 2, 3, 4, 5), 1, 5, 1, 2), [2, 4]);
});

test('lengths are checked', () => {
  expect(() => resizeBilinear(new Float32Array(5), 2, 2, 4, 4)).toThrowError(
    expect.objectContaining({ code: 'SHAPE_MISMATCH' }),
  );
  expect(() => resizeAntialiased(new Float32Array(5), 2, 2, 4, 4)).toThrowError(
    expect.objectContaining({ code: 'SHAPE_MISMATCH' }),
  );
  expect(() => resizeNearest(new Uint8Array(5), 2, 2, 4, 4)).toThrowError(
    expect.objectContaining({ code: 'SHAPE_MISMATCH' }),
  );
});
