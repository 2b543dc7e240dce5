import { expect, test } from 'vitest';
import type { GraphBuilder } from '../../../../src/shared/onnx/graph-builder.js';
import { testGradients } from '../../../helpers/gradient-cases.js';
import { compareGradients } from '../../../helpers/gradient-check.js';

const int64 = (graph: GraphBuilder, values: number[], dims: number[]) =>
  graph.constant(BigInt64Array.from(values, BigInt), dims);

const gathers = [
  { indices: [1], dims: [], axis: 0 },
  { indices: [-1], dims: [], axis: 1 },
  { indices: [1, 2], dims: [2], axis: 1 },
  { indices: [2, 0, 2, -1], dims: [2, 2], axis: 0 },
  { indices: [2, 0, 2], dims: [3, 1], axis: 1 },
  { indices: [1, 1, 0], dims: [3], axis: -1 },
];
for (const { indices, dims, axis } of gathers) {
  testGradients(`Gather ${indices} of dims [${dims}], axis ${axis}`, {
    compose: (graph, [x]) => graph.add('Gather', [x!, int64(graph, indices, dims)], { axis }),
    dims: [[3, 3, 2]],
    opsets: [11, 21],
  });
}
testGradients('Gather by computed int32 indices', {
  compose: (graph, [x]) => {
    const largest = graph.add('ArgMax', [x!], { axis: 1, keepdims: 0 });
    return graph.add('Gather', [x!, graph.add('Cast', [largest], { to: 6 })], { axis: 1 });
  },
  dims: [[3, 4]],
  seed: 3,
});

testGradients('GatherElements, no index twice', {
  compose: (graph, [x]) => graph.add('GatherElements', [x!, int64(graph, [2, 1, -3, 2], [2, 2])], { axis: 1 }),
  dims: [[2, 3]],
});
testGradients('GatherElements, an index twice', {
  compose: (graph, [x]) => graph.add('GatherElements', [x!, int64(graph, [1, 1, 0, 1], [2, 2])], { axis: 0 }),
  dims: [[2, 3]],
  opsets: [16, 21],
});
testGradients('GatherND of values and of rows', {
  compose: (graph, [x]) => {
    const rows = graph.add('GatherND', [x!, int64(graph, [0, 2, -1, 1, 0, 0], [3, 2])]); // (3, 2)
    return graph.add('Mul', [rows, graph.add('GatherND', [x!, int64(graph, [1], [1, 1])])]);
  },
  dims: [[2, 3, 2]],
});
for (const reduction of ['none', 'add']) {
  testGradients(`ScatterElements, reduction ${reduction}`, {
    compose: (graph, [x, updates]) =>
      graph.add('ScatterElements', [x!, int64(graph, [1, 0, 2, 0], [2, 2]), updates!], { axis: 1, reduction }),
    dims: [
      [2, 3],
      [2, 2],
    ],
    opsets: [16, 21],
  });
  testGradients(`ScatterND, reduction ${reduction}`, {
    compose: (graph, [x, updates]) =>
      graph.add('ScatterND', [x!, int64(graph, [2, 0], [2, 1]), updates!], { reduction }),
    dims: [
      [3, 2],
      [2, 2],
    ],
    opsets: [16, 21],
  });
}
testGradients('ScatterElements and ScatterND without reductions', {
  compose: (graph, [x, updates]) => {
    const once = graph.add('ScatterElements', [x!, int64(graph, [1, 0, 2, 0], [2, 2]), updates!], { axis: 1 });
    return graph.add('ScatterND', [once, int64(graph, [0, 2], [1, 2]), graph.constant(Float32Array.of(1), [1])]);
  },
  dims: [
    [2, 3],
    [2, 2],
  ],
  opsets: [11, 15],
});

test('an index that stands twice is an error before opset 16', async () => {
  const compose = (graph: GraphBuilder, [x]: string[]) =>
    graph.add('GatherElements', [x!, int64(graph, [1, 1], [1, 2])], { axis: 0 });
  await expect(compareGradients({ compose, dims: [[2, 2]], opset: 15 })).resolves.toBeDefined(); // one in each column
  const twice = (graph: GraphBuilder, [x]: string[]) =>
    graph.add('GatherElements', [x!, int64(graph, [1, 1], [2, 1])], { axis: 0 });
  await expect(compareGradients({ compose: twice, dims: [[2, 2]], opset: 15 })).rejects.toMatchObject({
    code: 'OP_NOT_SUPPORTED',
    message: expect.stringContaining('GatherElements'),
  });
});
