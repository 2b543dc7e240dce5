import { Tensor } from 'onnxruntime-node';
import { expect, test } from 'vitest';
import type { Attribute } from '../../../../src/shared/onnx/graph-builder.js';
import { createGraphBuilder } from '../../../../src/shared/onnx/graph-builder.js';
import { testGradients } from '../../../helpers/gradient-cases.js';
import { differentiate } from '../../../helpers/gradient-check.js';

interface Case {
  op: string;
  attributes?: Record<string, Attribute>;
  opset?: number;
  /** Keeps away from kinks and poles; by default 0.1 and more away from 0. */
  value?: (uniform: number) => number;
}

const awayFromZero = (uniform: number) => Math.sign(uniform) * (0.1 + 1.5 * Math.abs(uniform));
const awayFromBounds = (uniform: number) => (Math.abs(Math.abs(uniform) - 0.52) < 0.06 ? 0.3 : uniform);
const positive = (uniform: number) => 1 + 0.7 * uniform;

const cases: Case[] = [
  { op: 'Abs' },
  { op: 'Celu', attributes: { alpha: { float: 0.7 } }, opset: 12 },
  { op: 'Celu', opset: 12 },
  { op: 'Cos' },
  { op: 'Elu', attributes: { alpha: { float: 1.4 } } },
  { op: 'Elu' },
  { op: 'Erf' },
  { op: 'Exp' },
  { op: 'Gelu', opset: 20 },
  { op: 'Gelu', attributes: { approximate: 'tanh' }, opset: 20 },
  { op: 'HardSigmoid', attributes: { alpha: { float: 0.5 }, beta: { float: 0.4 } } },
  { op: 'HardSigmoid' },
  { op: 'HardSwish', value: (uniform) => 4 * uniform + 0.1, opset: 14 },
  { op: 'LeakyRelu', attributes: { alpha: { float: 0.3 } } },
  { op: 'LeakyRelu', attributes: { alpha: { float: -0.3 } } },
  { op: 'LeakyRelu' },
  { op: 'Log', value: positive },
  { op: 'Mish', opset: 18 },
  { op: 'Neg' },
  { op: 'Reciprocal', value: positive },
  { op: 'Relu' },
  { op: 'Selu' },
  { op: 'Selu', attributes: { alpha: { float: 1.2 }, gamma: { float: 0.8 } } },
  { op: 'Sigmoid' },
  { op: 'Sin' },
  { op: 'Softplus' },
  { op: 'Softsign' },
  { op: 'Sqrt', value: positive },
  { op: 'Tanh' },
  { op: 'ThresholdedRelu', attributes: { alpha: { float: 0.05 } } },
];

for (const { op, attributes = {}, opset = 11, value = awayFromZero } of cases) {
  testGradients(`${op} ${JSON.stringify(attributes)}`, {
    compose: (graph, inputs) => graph.add(op, inputs, attributes),
    dims: [[3, 7]],
    value,
    opsets: [...new Set([opset, 21])],
  });
}

const bounds = [
  { name: 'both bounds', lower: -0.5, upper: 0.55 },
  { name: 'no lower bound', lower: undefined, upper: 0.55 },
  { name: 'no upper bound', lower: -0.5, upper: undefined },
  { name: 'no bounds', lower: undefined, upper: undefined },
];
for (const { name, lower, upper } of bounds) {
  testGradients(`Clip, ${name}`, {
    compose: (graph, [x]) => {
      const bound = (value: number | undefined) => (value === undefined ? '' : graph.scalar(value));
      return graph.add('Clip', [x!, bound(lower), bound(upper)]);
    },
    dims: [[3, 7]],
    value: awayFromBounds,
  });
}
testGradients('Clip with bounds as attributes', {
  compose: (graph, inputs) => graph.add('Clip', inputs, { min: { float: -0.5 }, max: { float: 0.55 } }),
  dims: [[3, 7]],
  value: awayFromBounds,
  opsets: [10],
});

for (const slope of [[3, 7], [7], [3, 1], [1]]) {
  testGradients(`PRelu with slopes [${slope}]`, {
    compose: (graph, inputs) => graph.add('PRelu', inputs),
    dims: [[3, 7], slope],
    value: awayFromZero,
  });
}

test.each([
  { op: 'Relu', input: [-1, 0, 2], want: [0, 0, 1] },
  { op: 'Clip', input: [-1, 0, 3, 6, 7], want: [0, 0, 1, 0, 0] },
])('$op passes nothing at its kinks', async ({ op, input, want }) => {
  const graph = createGraphBuilder();
  const x = graph.input('x', 'float32', [input.length]);
  graph.output('result', graph.add(op, op === 'Clip' ? [x, graph.scalar(0), graph.scalar(6)] : [x]));
  const feeds = { x: new Tensor('float32', Float32Array.from(input), [input.length]) };
  const seed = { weights: new Float32Array(input.length).fill(1), dims: [input.length] };
  const [gradient] = await differentiate(graph.build(), ['x'], feeds, seed);
  expect([...gradient!]).toEqual(want);
});
