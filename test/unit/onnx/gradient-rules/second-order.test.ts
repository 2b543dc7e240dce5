import { expect, test } from 'vitest';
import type { Attribute, GraphBuilder } from '../../../../src/shared/onnx/graph-builder.js';
import { compareGradients } from '../../../helpers/gradient-check.js';

// The gradient of the gradient goes through the nodes that a rule appends. Squares of the output, because the operators are linear.

interface Squared {
  op: string;
  input: number[];
  attributes?: Record<string, Attribute>;
  /** Of constants after the input. */
  constants?: number[][];
  opsets?: number[];
}

const operators: Squared[] = [
  { op: 'Conv', input: [1, 2, 5, 4], constants: [[3, 2, 3, 3]], attributes: { pads: [1, 1, 0, 1] } },
  { op: 'Conv', input: [1, 2, 5, 6], constants: [[4, 2, 3, 2]], attributes: { strides: [2, 3], pads: [1, 0, 1, 1] } },
  {
    op: 'Conv',
    input: [1, 4, 5, 6],
    constants: [[4, 1, 3, 3]],
    attributes: { strides: [2, 2], pads: [1, 1, 1, 1], group: 4 },
    opsets: [11, 17, 21],
  },
  { op: 'ConvTranspose', input: [1, 2, 3, 3], constants: [[2, 2, 3, 2]], attributes: { strides: [2, 1] } },
  { op: 'AveragePool', input: [1, 2, 5, 6], attributes: { kernel_shape: [3, 2], strides: [2, 2], pads: [1, 0, 1, 0] } },
  { op: 'GlobalAveragePool', input: [2, 3, 2, 3] },
  {
    op: 'MaxPool',
    input: [1, 2, 5, 6],
    attributes: { kernel_shape: [3, 2], strides: [2, 1] },
    opsets: [11, 16, 21],
  },
  { op: 'GlobalMaxPool', input: [2, 3, 2, 3] },
  { op: 'DepthToSpace', input: [1, 4, 2, 3], attributes: { blocksize: 2 } },
  { op: 'SpaceToDepth', input: [1, 2, 4, 2], attributes: { blocksize: 2 } },
];

const isMaximum = (op: string) => op.endsWith('MaxPool');

for (const { op, input, attributes, constants = [], opsets = [17] } of operators) {
  for (const opset of opsets) {
    test(`second derivatives through ${op} of [${input}] ${JSON.stringify(attributes ?? {})}, opset ${opset}`, async () => {
      let count = 0;
      const { largestDifference } = await compareGradients({
        compose: (graph, [x]) => {
          const others = constants.map((dims) => constantOf(graph, dims));
          const y = graph.add(op, [x!, ...others], attributes);
          return graph.add('Mul', [y, graph.add('Mul', [y, y])]);
        },
        dims: [input],
        opset,
        order: 2,
        // Values a twentieth apart, so that a step of a hundredth changes no maximum.
        ...(isMaximum(op) && { value: () => ((count++ * 48) % 61) / 20 - 1.5 }),
      });
      expect(largestDifference).toBeLessThan(1e-2);
    });
  }
}

function constantOf(graph: GraphBuilder, dims: number[]): string {
  const size = dims.reduce((product, each) => product * each, 1);
  return graph.constant(
    Float32Array.from({ length: size }, (_, index) => Math.sin(index + 1)),
    dims,
  );
}

for (const op of ['Conv', 'ConvTranspose']) {
  for (const group of [1, 2]) {
    const attributes = { group, strides: [2, 1], pads: [1, 0, 0, 1] };
    const weights = [2, 2 / group, 2, 3];
    test(`second derivatives by input and weights of ${op} ${JSON.stringify(attributes)}`, async () => {
      const compose = (graph: GraphBuilder, inputs: string[]) => graph.add(op, inputs, attributes);
      const { largestDifference } = await compareGradients({ compose, dims: [[2, 2, 4, 5], weights], order: 2 });
      expect(largestDifference).toBeLessThan(5e-3);
    });
  }
}

for (const mode of ['nearest', 'linear']) {
  test(`second derivatives through Resize, ${mode}`, async () => {
    const { largestDifference } = await compareGradients({
      compose: (graph, [x]) => {
        const none = graph.constant(new Float32Array(0), [0]);
        const scales = graph.constant(Float32Array.of(1, 1, 2, 3), [4]);
        const y = graph.add('Resize', [x!, none, scales], {
          mode,
          nearest_mode: 'floor',
          coordinate_transformation_mode: 'asymmetric',
        });
        return graph.add('Mul', [y, y]);
      },
      dims: [[1, 2, 2, 3]],
      order: 2,
    });
    expect(largestDifference).toBeLessThan(1e-2);
  });
}
