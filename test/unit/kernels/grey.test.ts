import { expect, test } from 'vitest';
import { toGrey } from '../../../src/shared/kernels/grey.js';
import { goldenCases } from '../../helpers/golden.js';

test.each(goldenCases('grey'))('golden case $name', (golden) => {
  golden.check({ cv2: toGrey(golden.uint8('image').data) }, ['pillow', 'skimage']);
});

test('a pixel without its three channels is SHAPE_MISMATCH', () => {
  expect(() => toGrey(new Uint8Array(4))).toThrowError(expect.objectContaining({ code: 'SHAPE_MISMATCH' }));
});
