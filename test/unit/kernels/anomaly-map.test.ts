import { describe, expect, test } from 'vitest';
import {
  bilinearMatrix,
  createMapUpsampler,
  gaussianBlurGrid,
  upsampleMap,
} from '../../../src/shared/kernels/anomaly-map.js';
import { createRandom } from '../../../src/shared/kernels/random.js';
import { resizeBilinear } from '../../../src/shared/kernels/resize.js';
import { expectClose, float32 } from '../../helpers/arrays.js';
import { goldenCases } from '../../helpers/golden.js';

test.each(goldenCases('anomaly-map'))('golden case $name', (golden) => {
  const { data, shape } = golden.float32('patch_scores');
  const [B, , h, w] = shape as [number, number, number, number];
  const { height: H, width: W, sigma } = golden.params as { height: number; width: number; sigma: number };
  const upsample = createMapUpsampler(h, w, H, W, sigma);
  const maps = new Float32Array(B * H * W);
  for (let b = 0; b < B; b++) maps.set(upsample(data.subarray(b * h * w, (b + 1) * h * w)), b * H * W);
  golden.check({ bilinear: resizeBilinear(data, h, w, H, W), official_map: maps }, [
    'nearest',
    'anomalib_map',
    'bilinear_reflect_map',
  ]);
});

describe('the separable form', () => {
  const random = createRandom(3);
  const sizes = Array.from({ length: 12 }, () => ({
    h: 1 + random.integer(20),
    w: 1 + random.integer(20),
    H: 1 + random.integer(90),
    W: 1 + random.integer(90),
    sigma: 0.3 + 5 * random.uniform(),
  }));

  test.each([{ h: 14, w: 14, H: 224, W: 224, sigma: 4 }, ...sizes])(
    'equals the plain one: $h x $w to $H x $W, sigma $sigma',
    ({ h, w, H, W, sigma }) => {
      const grid = float32(h * w, random.normal);
      expectClose(createMapUpsampler(h, w, H, W, sigma)(grid), upsampleMap(grid, h, w, H, W, sigma), {
        atol: 1e-6,
        rtol: 1e-6,
      });
    },
  );

  test('a constant grid gives a constant map', () => {
    const map = createMapUpsampler(5, 7, 40, 30, 4)(new Float32Array(35).fill(3.5));
    expectClose(map, new Float32Array(1200).fill(3.5), { rtol: 1e-6 });
  });

  test('a call leaves the maps of earlier calls alone', () => {
    const upsample = createMapUpsampler(4, 4, 16, 16, 1);
    const first = upsample(new Float32Array(16).fill(1));
    upsample(new Float32Array(16).fill(2));
    expect(first[0]).toBeCloseTo(1, 6);
  });

  test('a grid of another size is SHAPE_MISMATCH', () => {
    expect(() => createMapUpsampler(4, 4, 16, 16, 1)(new Float32Array(15))).toThrowError(
      expect.objectContaining({ code: 'SHAPE_MISMATCH' }),
    );
  });
});

test('sigma 0.5 has the weights .7866, .1065, .0003, the border sample repeated', () => {
  const column = gaussianBlurGrid(Float32Array.of(0, 0, 0, 1, 0, 0, 0), 7, 1, 0.5);
  expectClose(column, [0, 0.0003, 0.1065, 0.7866, 0.1065, 0.0003, 0], { atol: 1e-4 });
  const border = gaussianBlurGrid(Float32Array.of(1, 0, 0, 0, 0), 1, 5, 0.5);
  expectClose(border, [0.7866 + 0.1065, 0.1065 + 0.0003, 0.0003, 0, 0], { atol: 1e-4 });
});

test('the blur keeps the sum of a grid, even one smaller than its radius', () => {
  const grid = float32(6, (i) => i * i);
  const blurred = gaussianBlurGrid(grid, 2, 3, 4);
  expectClose([blurred.reduce((sum, value) => sum + value, 0)], [55], { rtol: 1e-6 });
});

test('rows of the bilinear matrix sum to 1 and interpolate', () => {
  expectClose(bilinearMatrix(2, 4), [1, 0, 0.75, 0.25, 0.25, 0.75, 0, 1]);
  expectClose(bilinearMatrix(3, 3), [1, 0, 0, 0, 1, 0, 0, 0, 1]);
  expectClose(bilinearMatrix(1, 2), [1, 1]);
});
