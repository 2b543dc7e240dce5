import { expect, test } from 'vitest';
import type { Attribute } from '../../../../src/shared/onnx/graph-builder.js';
import { compareGradients } from '../../../helpers/gradient-check.js';

interface Normalization {
  op: string;
  /** Of x and of all other inputs. */
  dims: number[][];
  attributes?: Record<string, Attribute>;
  opsets: number[];
}

const normalizations: Normalization[] = [
  { op: 'BatchNormalization', dims: [[2, 3], [3], [3], [3], [3]], opsets: [11, 17] },
  { op: 'BatchNormalization', dims: [[2, 3, 4], [3], [3], [3], [3]], opsets: [17] },
  {
    op: 'BatchNormalization',
    dims: [[2, 3, 2, 4], [3], [3], [3], [3]],
    attributes: { epsilon: { float: 0.1 } },
    opsets: [11, 14, 21],
  },
  { op: 'InstanceNormalization', dims: [[2, 3, 5], [3], [3]], opsets: [17] },
  {
    op: 'InstanceNormalization',
    dims: [[2, 2, 3, 4], [2], [2]],
    attributes: { epsilon: { float: 0.1 } },
    opsets: [11, 21],
  },
  { op: 'LayerNormalization', dims: [[2, 3, 5], [5], [5]], opsets: [17, 21] },
  { op: 'LayerNormalization', dims: [[2, 3, 5], [5]], opsets: [17] },
  {
    op: 'LayerNormalization',
    dims: [
      [2, 3, 4],
      [3, 4],
      [3, 4],
    ],
    attributes: { axis: 1 },
    opsets: [17],
  },
  {
    op: 'LayerNormalization',
    dims: [[2, 3, 4], [4], [4]],
    attributes: { axis: -2, epsilon: { float: 0.1 } },
    opsets: [17],
  },
  { op: 'GroupNormalization', dims: [[2, 4, 3], [4], [4]], attributes: { num_groups: 2 }, opsets: [21] },
  { op: 'GroupNormalization', dims: [[2, 6, 2, 3], [6], [6]], attributes: { num_groups: 3 }, opsets: [21] },
  { op: 'GroupNormalization', dims: [[2, 6, 2, 3], [3], [3]], attributes: { num_groups: 3 }, opsets: [18] },
  {
    op: 'LRN',
    dims: [[2, 5, 2, 3]],
    attributes: { size: 3, alpha: { float: 0.5 }, beta: { float: 0.6 } },
    opsets: [17],
  },
  {
    op: 'LRN',
    dims: [[1, 6, 2, 2]],
    attributes: { size: 5, alpha: { float: 0.9 }, bias: { float: 0.7 } },
    opsets: [11, 21],
  },
];

for (const { op, dims, attributes, opsets } of normalizations) {
  for (const opset of opsets) {
    for (const order of [1, 2] as const) {
      test(`${op} of [${dims.join('] [')}] ${JSON.stringify(attributes ?? {})}, opset ${opset}, order ${order}`, async () => {
        const { largestDifference } = await compareGradients({
          compose: (graph, inputs) => {
            const y = graph.add(op, inputs, attributes);
            return order === 1 ? y : graph.add('Mul', [y, y]); // so that the gradient by the bias has a gradient too
          },
          dims,
          opset,
          order,
          value: (uniform, input) => (input === 4 ? 2 + uniform : uniform), // the variance
        });
        expect(largestDifference).toBeLessThan(order === 1 ? 3e-3 : 1e-2);
      });
    }
  }
}

test('training is refused', async () => {
  const checked = compareGradients({
    compose: (graph, inputs) => graph.addMulti('BatchNormalization', inputs, { training_mode: 1 }, 3)[0]!,
    dims: [[2, 3, 4], [3], [3], [3], [3]],
  });
  await expect(checked).rejects.toMatchObject({
    code: 'OP_NOT_SUPPORTED',
    message: expect.stringContaining('training_mode'),
  });
});
