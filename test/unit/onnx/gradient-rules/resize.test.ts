import { expect, test } from 'vitest';
import type { Attribute } from '../../../../src/shared/onnx/graph-builder.js';
import { compareGradients } from '../../../helpers/gradient-check.js';

type Target = { scales: number[] } | { sizes: number[] };

/** Checks a Resize node and returns the operators that its gradient is made of. */
async function checkResize(input: number[], target: Target, attributes: Record<string, Attribute>, opset: number) {
  const { largestDifference } = await compareGradients({
    compose: (graph, [x]) => {
      const none = graph.constant(new Float32Array(0), [0]);
      if ('sizes' in target) return graph.add('Resize', [x!, none, none, graph.integers(...target.sizes)], attributes);
      const scales = graph.constant(Float32Array.from(target.scales), [target.scales.length]);
      return graph.add('Resize', [x!, none, scales], attributes);
    },
    dims: [input],
    opset,
  });
  expect(largestDifference).toBeLessThan(2e-3);
}

const coordinates = ['asymmetric', 'half_pixel', 'align_corners', 'pytorch_half_pixel'];
const targets: Target[] = [
  { scales: [1, 1, 2, 2] },
  { scales: [1, 1, 3, 1] },
  { scales: [1, 1, 1.7, 0.6] },
  { sizes: [1, 2, 7, 8] },
  { sizes: [1, 2, 2, 1] },
  { sizes: [1, 2, 6, 5] },
];

for (const coordinate_transformation_mode of coordinates) {
  for (const target of targets) {
    for (const opset of [11, 17, 21]) {
      for (const mode of ['nearest', 'linear']) {
        const attributes = { mode, coordinate_transformation_mode };
        test(`Resize ${JSON.stringify({ ...target, ...attributes })}, opset ${opset}`, () =>
          checkResize([1, 2, 3, 5], target, attributes, opset));
      }
    }
    test(`Resize ${JSON.stringify(target)}, cubic, ${coordinate_transformation_mode}`, () =>
      checkResize(
        [1, 2, 3, 5],
        target,
        { mode: 'cubic', coordinate_transformation_mode, cubic_coeff_a: { float: -0.5 } },
        17,
      ));
    for (const nearest_mode of ['round_prefer_floor', 'round_prefer_ceil', 'floor', 'ceil']) {
      test(`Resize ${JSON.stringify({ ...target, coordinate_transformation_mode, nearest_mode })}`, () =>
        checkResize([1, 2, 3, 5], target, { mode: 'nearest', coordinate_transformation_mode, nearest_mode }, 17));
    }
  }
}

test('Resize of one spatial axis', () => checkResize([2, 2, 5], { scales: [1, 1, 1.5] }, { mode: 'linear' }, 17));
test('Resize of three spatial axes, nearest', () =>
  checkResize([1, 2, 2, 3, 2], { scales: [1, 1, 2, 2, 2] }, { mode: 'nearest' }, 17));
test('Resize of three spatial axes, linear', () =>
  checkResize([1, 2, 2, 3, 2], { scales: [1, 1, 2, 1.5, 2] }, { mode: 'linear' }, 17));
test('Resize of some axes', () => checkResize([1, 2, 3, 4], { sizes: [5, 6] }, { mode: 'linear', axes: [2, 3] }, 19));
test('Resize by an antialiasing filter', () =>
  checkResize([1, 2, 8, 7], { scales: [1, 1, 0.5, 0.4] }, { mode: 'linear', antialias: 1 }, 19));
test('Resize symmetric about the middle', () =>
  checkResize(
    [1, 2, 3, 4],
    { scales: [1, 1, 1.6, 2.3] },
    { mode: 'linear', coordinate_transformation_mode: 'half_pixel_symmetric' },
    19,
  ));

test('Resize of a box and by an aspect ratio are refused', async () => {
  await expect(
    checkResize([1, 2, 3, 4], { sizes: [7, 7] }, { axes: [2, 3], keep_aspect_ratio_policy: 'not_larger' }, 19),
  ).rejects.toMatchObject({ code: 'OP_NOT_SUPPORTED', message: expect.stringContaining('keep_aspect_ratio_policy') });
});
