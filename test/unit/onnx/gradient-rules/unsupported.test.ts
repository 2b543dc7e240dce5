import { expect, test } from 'vitest';
import type { GraphBuilder } from '../../../../src/shared/onnx/graph-builder.js';
import { compareGradients } from '../../../helpers/gradient-check.js';

/** A whole number that depends on the values of x. */
const computed = (graph: GraphBuilder, x: string) => {
  const largest = graph.add('ArgMax', [graph.add('Reshape', [x, graph.integers(-1)])], { axis: 0 });
  return graph.add('Min', [largest, graph.integers(1)]);
};
const int64 = (graph: GraphBuilder, values: number[], dims: number[]) =>
  graph.constant(BigInt64Array.from(values, BigInt), dims);

const forms: [string, string, (graph: GraphBuilder, x: string) => string][] = [
  [
    'Clip',
    'bounds to differentiate by',
    (graph, x) => graph.add('Clip', [x, graph.add('ReduceMin', [x], { keepdims: 0 })]),
  ],
  ['Einsum', 'i...->...i', (graph, x) => graph.add('Einsum', [x], { equation: 'i...->...i' })],
  ['Einsum', 'ii->i', (graph, x) => graph.add('Einsum', [x], { equation: 'ii->i' })],
  ['GatherND', '1', (graph, x) => graph.add('GatherND', [x, int64(graph, [0, 1, 0], [3, 1])], { batch_dims: 1 })],
  [
    'Pad',
    'computed',
    (graph, x) => {
      const zero = graph.add('Mul', [computed(graph, x), graph.integers(0)]);
      return graph.add('Pad', [x, graph.add('Concat', [zero, zero, zero, zero], { axis: 0 })]);
    },
  ],
  [
    'Pad',
    'differentiate by',
    (graph, x) => graph.add('Pad', [x, graph.integers(1, 1, 1, 1), graph.add('ReduceMean', [x], { keepdims: 0 })]),
  ],
  ['ReduceL2', 'noop_with_empty_axes', (graph, x) => graph.add('ReduceL2', [x], { noop_with_empty_axes: 1 })],
  [
    'ScatterElements',
    'mul',
    (graph, x) =>
      graph.add('ScatterElements', [x, int64(graph, [0], [1, 1]), graph.constant(Float32Array.of(2), [1, 1])], {
        reduction: 'mul',
      }),
  ],
  [
    'Slice',
    'computed',
    (graph, x) => graph.add('Slice', [x, computed(graph, x), graph.integers(3), graph.integers(0)]),
  ],
];
test.each(forms)('%s with %s is refused by name', async (op, received, compose) => {
  const failure = compareGradients({ compose: (graph, [x]) => compose(graph, x!), dims: [[3, 3]], opset: 18 });
  await expect(failure).rejects.toMatchObject({
    code: 'OP_NOT_SUPPORTED',
    message: expect.stringMatching(new RegExp(`${op} \\(node .*\\) in opset 18 .*${received.replaceAll('.', '\\.')}`)),
  });
});
