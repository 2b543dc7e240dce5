import { expect, test } from 'vitest';
import type { Attribute } from '../../../../src/shared/onnx/graph-builder.js';
import { compareGradients } from '../../../helpers/gradient-check.js';

const pools: { input: number[]; attributes: Record<string, Attribute> }[] = [
  { input: [2, 2, 9], attributes: { kernel_shape: [3], strides: [2], pads: [1, 1] } },
  { input: [2, 2, 4, 6], attributes: { kernel_shape: [2, 3], strides: [2, 3] } },
  { input: [1, 2, 6, 6], attributes: { kernel_shape: [3, 3], strides: [2, 2], pads: [1, 1, 1, 1] } },
  { input: [1, 2, 5, 6], attributes: { kernel_shape: [3, 2], pads: [1, 1, 2, 0] } },
  { input: [1, 2, 6, 7], attributes: { kernel_shape: [2, 3], strides: [3, 2], ceil_mode: 1 } },
  { input: [1, 2, 6, 7], attributes: { kernel_shape: [3, 3], strides: [2, 3], pads: [1, 0, 1, 1], ceil_mode: 1 } },
  { input: [1, 2, 5, 6], attributes: { kernel_shape: [2, 3], strides: [2, 2], auto_pad: 'SAME_UPPER' } },
  { input: [1, 2, 5, 6], attributes: { kernel_shape: [2, 4], auto_pad: 'SAME_LOWER' } },
  { input: [1, 2, 5, 6], attributes: { kernel_shape: [2, 3], strides: [2, 2], auto_pad: 'VALID' } },
  { input: [1, 2, 7, 7], attributes: { kernel_shape: [2, 3], dilations: [3, 2], pads: [1, 1, 1, 2] } },
  { input: [1, 2, 7, 7], attributes: { kernel_shape: [2, 2], dilations: [2, 2], strides: [2, 2], storage_order: 1 } },
  { input: [1, 2, 3, 4, 4], attributes: { kernel_shape: [2, 2, 3], pads: [1, 0, 1, 0, 1, 1] } },
];

/** Values a tenth apart, so that a step of a hundredth changes no maximum. */
function apart() {
  let count = 0;
  return () => ((count++ * 48) % 199) / 10;
}

for (const { input, attributes } of pools) {
  for (const opset of [11, 15, 16, 21]) {
    test(`MaxPool of [${input}] ${JSON.stringify(attributes)}, opset ${opset}`, async () => {
      const { largestDifference } = await compareGradients({
        compose: (graph, [x]) => graph.add('MaxPool', [x!], attributes),
        dims: [input],
        opset,
        value: apart(),
      });
      expect(largestDifference).toBeLessThan(2e-3);
    });
  }
}

for (const input of [
  [2, 3, 5],
  [2, 3, 4, 5],
  [1, 2, 3, 2, 2],
]) {
  test(`GlobalMaxPool of [${input}]`, async () => {
    const { largestDifference } = await compareGradients({
      compose: (graph, [x]) => graph.add('GlobalMaxPool', [x!]),
      dims: [input],
      value: apart(),
    });
    expect(largestDifference).toBeLessThan(2e-3);
  });
}

test('of equal values the first of the window has the gradient', async () => {
  const { gradients } = await compareGradients({
    compose: (graph, [x]) => graph.add('MaxPool', [x!], { kernel_shape: [2, 2], strides: [2, 2] }),
    dims: [[1, 1, 4, 4]],
    value: () => 1,
  });
  const isHit = Array.from(gradients[0]!, (gradient) => gradient !== 0);
  expect(isHit.flatMap((hit, index) => (hit ? [index] : []))).toEqual([0, 2, 8, 10]);
});
