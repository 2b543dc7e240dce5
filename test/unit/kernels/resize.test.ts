import { expect, test } from 'vitest';
import { resizeBilinear, resizeNearest } from '../../../src/shared/kernels/resize.js';
import { expectClose, float32 } from '../../helpers/arrays.js';
import { goldenCases } from '../../helpers/golden.js';

test.each(goldenCases('resize'))('golden case $name', (golden) => {
  const { data, shape } = golden.uint8('image');
  const [h, w] = shape as [number, number];
  const planes = float32(3 * h * w, (i) => data[(i % (h * w)) * 3 + Math.floor(i / (h * w))]!);
  golden.check({ torch_bilinear: resizeBilinear(planes, h, w, golden.params.height!, golden.params.width!) }, [
    'torch_bilinear_antialias',
    'pillow_bilinear',
    'pillow_bicubic',
    'cv2_linear',
  ]);
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
  expect(() => resizeNearest(new Uint8Array(5), 2, 2, 4, 4)).toThrowError(
    expect.objectContaining({ code: 'SHAPE_MISMATCH' }),
  );
});
