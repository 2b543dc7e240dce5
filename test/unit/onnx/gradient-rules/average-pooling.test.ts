import { expect, test } from 'vitest';
import type { Attribute } from '../../../../src/shared/onnx/graph-builder.js';
import { compareGradients } from '../../../helpers/gradient-check.js';

const pools: { input: number[]; attributes: Record<string, Attribute>; opset?: number }[] = [
  { input: [2, 2, 7], attributes: { kernel_shape: [3], strides: [2], pads: [1, 1] } },
  { input: [2, 3, 4, 6], attributes: { kernel_shape: [2, 3], strides: [2, 3] } },
  { input: [1, 2, 6, 6], attributes: { kernel_shape: [3, 3], strides: [2, 2], pads: [1, 1, 1, 1] } },
  { input: [1, 2, 6, 6], attributes: { kernel_shape: [3, 2], pads: [1, 1, 2, 0], count_include_pad: 1 } },
  { input: [1, 2, 6, 7], attributes: { kernel_shape: [2, 3], strides: [3, 2], ceil_mode: 1 } },
  { input: [1, 2, 6, 7], attributes: { kernel_shape: [3, 3], strides: [2, 3], pads: [1, 0, 1, 1], ceil_mode: 1 } },
  {
    input: [1, 1, 6, 7],
    attributes: { kernel_shape: [3, 3], strides: [2, 3], pads: [1, 0, 0, 1], ceil_mode: 1, count_include_pad: 1 },
  },
  { input: [1, 2, 5, 6], attributes: { kernel_shape: [2, 3], strides: [2, 2], auto_pad: 'SAME_UPPER' } },
  { input: [1, 2, 5, 6], attributes: { kernel_shape: [2, 4], auto_pad: 'SAME_LOWER' } },
  { input: [1, 2, 5, 6], attributes: { kernel_shape: [2, 4], auto_pad: 'SAME_LOWER', count_include_pad: 1 } },
  { input: [1, 2, 5, 6], attributes: { kernel_shape: [2, 3], strides: [2, 2], auto_pad: 'VALID' } },
  { input: [1, 2, 3, 4, 4], attributes: { kernel_shape: [2, 2, 3], pads: [1, 0, 1, 0, 1, 1] } },
  { input: [1, 2, 7, 7], attributes: { kernel_shape: [2, 3], dilations: [3, 2], pads: [1, 1, 1, 1] }, opset: 19 },
];

for (const { input, attributes, opset } of pools) {
  for (const version of opset ? [opset] : [11, 17, 21]) {
    test(`AveragePool of [${input}] ${JSON.stringify(attributes)}, opset ${version}`, async () => {
      const { largestDifference } = await compareGradients({
        compose: (graph, [x]) => graph.add('AveragePool', [x!], attributes),
        dims: [input],
        opset: version,
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
  test(`GlobalAveragePool of [${input}]`, async () => {
    const compose = (graph: { add: (op: string, inputs: string[]) => string }, inputs: string[]) =>
      graph.add('GlobalAveragePool', inputs);
    expect((await compareGradients({ compose, dims: [input] })).largestDifference).toBeLessThan(2e-3);
  });
}
