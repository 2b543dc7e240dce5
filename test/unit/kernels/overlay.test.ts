import { expect, test } from 'vitest';
import { jet, jetTable } from '../../../src/shared/kernels/jet.js';
import { heatOf, levelsOf, overlay } from '../../../src/shared/kernels/overlay.js';
import { expectClose } from '../../helpers/arrays.js';
import { goldenCases } from '../../helpers/golden.js';

test.each(goldenCases('colormap'))('golden case $name', (golden) => {
  golden.check({ jet_cv2: jetTable }, ['jet_matplotlib', 'jet_matplotlib_float']);
});

test.each(goldenCases('overlay'))('golden case $name', (golden) => {
  const heat = golden.float32('heatmap').data;
  const levels = levelsOf(heat);
  golden.check({ index: levels, heat_rgb: jet(levels), overlay: overlay(golden.uint8('image').data, heat) }, [
    'overlay_rounded',
    'overlay_pgc',
  ]);
});

test('heat is the map over twice the quantile, between 0 and 1', () => {
  expectClose(heatOf(Float32Array.of(-1, 0, 1, 2, 4, 9), 2), [0, 0, 0.25, 0.5, 1, 1]);
  expectClose(heatOf(Float32Array.of(-1, 0, 1), 0), [0, 0, 1]);
  expectClose(heatOf(Float32Array.of(-1, 0, 1), -3), [0, 0, 1]);
});

test('an image of another size is SHAPE_MISMATCH', () => {
  expect(() => overlay(new Uint8Array(12), new Float32Array(5))).toThrowError(
    expect.objectContaining({ code: 'SHAPE_MISMATCH' }),
  );
});
