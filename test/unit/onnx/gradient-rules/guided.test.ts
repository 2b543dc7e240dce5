import { Tensor } from 'onnxruntime-node';
import { expect, test } from 'vitest';
import { createGraphBuilder } from '../../../../src/shared/onnx/graph-builder.js';
import { differentiate } from '../../../helpers/gradient-check.js';

const input = [-1, 0, 1, 1, 7, 0.5];
const seeds = [2, 2, 2, -2, 2, 0];

test.each([
  { op: 'Relu', bounds: [], want: [0, 0, 2, 0, 2, 0] },
  { op: 'Clip', bounds: [0, 6], want: [0, 0, 2, 0, 0, 0] },
  { op: 'Clip', bounds: [-0.5], want: [0, 2, 2, 0, 2, 0] },
  { op: 'LeakyRelu', bounds: [], want: [0.02, 0.02, 2, -2, 2, 0] },
  { op: 'Softsign', bounds: [], want: [0.5, 2, 0.5, -0.5, 2 / 64, 0] },
])('guided backpropagation through $op $bounds', async ({ op, bounds, want }) => {
  const graph = createGraphBuilder();
  const x = graph.input('x', 'float32', [6]);
  graph.output('result', graph.add(op, [x, ...bounds.map((bound) => graph.scalar(bound))]));
  const feeds = { x: new Tensor('float32', Float32Array.from(input), [6]) };
  const seed = { weights: Float32Array.from(seeds), dims: [6] };
  const [gradient] = await differentiate(graph.build(), ['x'], feeds, seed, 'guided');
  expect([...gradient!]).toEqual(want.map(Math.fround));
});
