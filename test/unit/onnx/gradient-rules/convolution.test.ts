import { expect, test } from 'vitest';
import type { Attribute } from '../../../../src/shared/onnx/graph-builder.js';
import { compareGradients } from '../../../helpers/gradient-check.js';

interface Convolution {
  op: 'Conv' | 'ConvTranspose';
  input: number[];
  weights: number[];
  attributes?: Record<string, Attribute>;
}

const convolutions: Convolution[] = [
  { op: 'Conv', input: [2, 2, 7], weights: [3, 2, 3] },
  { op: 'Conv', input: [2, 4, 8], weights: [6, 2, 3], attributes: { group: 2, strides: [3], pads: [2, 1] } },
  { op: 'Conv', input: [2, 2, 5, 6], weights: [3, 2, 3, 2] },
  { op: 'Conv', input: [1, 2, 5, 6], weights: [3, 2, 3, 3], attributes: { pads: [1, 0, 2, 1] } },
  { op: 'Conv', input: [1, 2, 6, 7], weights: [3, 2, 3, 2], attributes: { strides: [2, 3], pads: [1, 1, 0, 0] } },
  { op: 'Conv', input: [1, 2, 8, 9], weights: [2, 2, 1, 1], attributes: { strides: [3, 4] } },
  { op: 'Conv', input: [1, 2, 3, 4], weights: [2, 2, 1, 1], attributes: { pads: [1, 1, 1, 1] } },
  { op: 'Conv', input: [1, 2, 7, 7], weights: [2, 2, 3, 2], attributes: { dilations: [2, 3], pads: [2, 1, 2, 2] } },
  {
    op: 'Conv',
    input: [1, 1, 9, 8],
    weights: [2, 1, 3, 2],
    attributes: { dilations: [2, 2], strides: [2, 3], pads: [1, 0, 2, 1] },
  },
  { op: 'Conv', input: [2, 4, 5, 5], weights: [4, 1, 3, 3], attributes: { group: 4, pads: [1, 1, 1, 1] } },
  {
    op: 'Conv',
    input: [2, 4, 5, 4],
    weights: [6, 2, 3, 3],
    attributes: { group: 2, pads: [1, 1, 1, 1], strides: [2, 2] },
  },
  {
    op: 'Conv',
    input: [1, 4, 7, 8],
    weights: [4, 1, 3, 3],
    attributes: { group: 4, pads: [1, 1, 1, 1], strides: [2, 2] },
  },
  {
    op: 'Conv',
    input: [1, 4, 7, 8],
    weights: [4, 1, 5, 4],
    attributes: { group: 4, pads: [2, 2, 1, 3], strides: [3, 2] },
  },
  { op: 'Conv', input: [1, 2, 7, 8], weights: [2, 1, 1, 2], attributes: { group: 2, strides: [2, 3] } },
  {
    op: 'Conv',
    input: [1, 2, 9, 10],
    weights: [2, 1, 3, 2],
    attributes: { group: 2, strides: [2, 3], dilations: [2, 3], pads: [2, 1, 1, 2] },
  },
  { op: 'Conv', input: [1, 2, 5, 6], weights: [2, 2, 2, 3], attributes: { auto_pad: 'SAME_UPPER', strides: [2, 2] } },
  { op: 'Conv', input: [1, 2, 5, 6], weights: [2, 2, 2, 4], attributes: { auto_pad: 'SAME_LOWER' } },
  { op: 'Conv', input: [1, 2, 5, 6], weights: [2, 2, 2, 3], attributes: { auto_pad: 'VALID', strides: [2, 2] } },
  { op: 'Conv', input: [1, 2, 4, 3, 4], weights: [2, 2, 2, 2, 3], attributes: { pads: [0, 1, 1, 1, 0, 1] } },
  { op: 'Conv', input: [1, 2, 5, 4, 4], weights: [2, 1, 2, 2, 3], attributes: { group: 2, strides: [2, 1, 2] } },
  { op: 'ConvTranspose', input: [2, 2, 4], weights: [2, 3, 3], attributes: { strides: [2], pads: [1, 0] } },
  { op: 'ConvTranspose', input: [2, 3, 3, 4], weights: [3, 2, 2, 3] },
  {
    op: 'ConvTranspose',
    input: [1, 4, 3, 4],
    weights: [4, 2, 3, 3],
    attributes: { group: 2, strides: [2, 3], pads: [1, 0, 1, 2], output_padding: [1, 2] },
  },
  {
    op: 'ConvTranspose',
    input: [1, 2, 3, 3],
    weights: [2, 2, 2, 3],
    attributes: { dilations: [3, 2], strides: [2, 1], output_padding: [1, 0], pads: [1, 1, 0, 2] },
  },
  {
    op: 'ConvTranspose',
    input: [1, 2, 3, 3],
    weights: [2, 2, 2, 2],
    attributes: { strides: [2, 2], output_shape: [7, 6] },
  },
  {
    op: 'ConvTranspose',
    input: [1, 2, 3, 3],
    weights: [2, 1, 3, 3],
    attributes: { group: 2, strides: [2, 2], auto_pad: 'SAME_UPPER' },
  },
  {
    op: 'ConvTranspose',
    input: [1, 2, 3, 3],
    weights: [2, 1, 3, 4],
    attributes: { strides: [2, 3], auto_pad: 'SAME_LOWER' },
  },
  { op: 'ConvTranspose', input: [1, 2, 3, 3], weights: [2, 1, 3, 3], attributes: { auto_pad: 'VALID' } },
  {
    op: 'ConvTranspose',
    input: [1, 2, 3, 3],
    weights: [2, 1, 3, 3],
    attributes: { strides: [2, 2], output_shape: [6, 6] },
  },
  {
    op: 'ConvTranspose',
    input: [1, 2, 3, 3],
    weights: [2, 1, 3, 3],
    attributes: { strides: [2, 2], output_shape: [6, 6], auto_pad: 'SAME_UPPER' },
  },
  {
    op: 'ConvTranspose',
    input: [1, 2, 2, 3, 2],
    weights: [2, 2, 2, 3, 2],
    attributes: { strides: [1, 2, 2], pads: [0, 1, 0, 1, 0, 0], output_padding: [0, 1, 1] },
  },
];

const size = (dims: readonly number[]) => dims.reduce((product, each) => product * each, 1);

for (const { op, input, weights, attributes } of convolutions) {
  const name = `${op} of [${input}] by [${weights}] ${JSON.stringify(attributes ?? {})}`;
  test(`${name}, constant weights`, async () => {
    const kernel = Float32Array.from({ length: size(weights) }, (_, index) => Math.sin(index));
    const { largestDifference } = await compareGradients({
      compose: (graph, [x]) => graph.add(op, [x!, graph.constant(kernel, weights)], attributes),
      dims: [input],
    });
    expect(largestDifference).toBeLessThan(2e-3);
  });

  test(`${name}, by input, weights and bias`, async () => {
    const channels = op === 'Conv' ? weights[0]! : weights[1]! * Number(attributes?.group ?? 1);
    const { largestDifference } = await compareGradients({
      compose: (graph, inputs) => graph.add(op, inputs, attributes),
      dims: [input, weights, [channels]],
    });
    expect(largestDifference).toBeLessThan(2e-3);
  });
}
