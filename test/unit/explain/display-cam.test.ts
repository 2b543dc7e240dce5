import { expect, test } from 'vitest';
import { displayCam } from '../../../src/explain/cam/display.js';
import { expectClose } from '../../helpers/arrays.js';
import { goldenCases } from '../../helpers/golden.js';

test.each(goldenCases('cam-postprocess'))('golden case $name', (golden) => {
  const { data, shape } = golden.float32('map');
  const [h, w] = shape as [number, number];
  const others = ['pgc', 'seed004_normalize', 'seed001_normalise', 'resize_pillow', 'resize_cv2', 'resize_torch'];
  if (golden.name !== 'all-negative') others.push('seed003');
  golden.check({ seed000: displayCam(data, h, w, golden.params.height!, golden.params.width!) }, others);
});

test('a map without anything for the class stays dark, one without contrast is not stretched', () => {
  expectClose(displayCam(Float32Array.of(-1, -2, -3, -4), 2, 2, 3, 3), new Float32Array(9));
  expectClose(displayCam(new Float32Array(4).fill(0.25), 2, 2, 3, 3), new Float32Array(9).fill(0.25), { atol: 1e-7 });
});

test('the length is checked', () => {
  expect(() => displayCam(new Float32Array(5), 2, 2, 3, 3)).toThrowError(
    expect.objectContaining({ code: 'SHAPE_MISMATCH' }),
  );
});
