import { Tensor } from 'onnxruntime-node';
import { expect, test } from 'vitest';
import { createGraphBuilder } from '../../../../src/shared/onnx/graph-builder.js';
import { testGradients } from '../../../helpers/gradient-cases.js';
import { differentiate } from '../../../helpers/gradient-check.js';

const broadcasts = [
  [
    [2, 3],
    [2, 3],
  ],
  [[2, 3], [3]],
  [
    [2, 1, 4],
    [3, 1],
  ],
  [[2, 3], []],
  [[1], [2, 3, 1]],
];
const positive = (uniform: number) => 1.5 + 0.9 * uniform;
/** No values of two inputs are closer than 0.03. */
const apart = (uniform: number, input: number) => Math.round(uniform * 30) / 10 + input / 30;

for (const op of ['Add', 'Div', 'Max', 'Min', 'Mul', 'Pow', 'Sub']) {
  for (const dims of broadcasts) {
    testGradients(`${op} of [${dims[0]}] and [${dims[1]}]`, {
      compose: (graph, inputs) => graph.add(op, inputs),
      dims,
      value: op === 'Max' || op === 'Min' ? apart : positive,
      opsets: [17],
    });
  }
}

for (const op of ['Max', 'Mean', 'Min', 'Sum']) {
  testGradients(`${op} of three`, {
    compose: (graph, inputs) => graph.add(op, inputs),
    dims: [[2, 3], [3], [2, 1]],
    value: apart,
  });
  testGradients(`${op} of one`, { compose: (graph, inputs) => graph.add(op, inputs), dims: [[2, 3]] });
}

for (const exponent of [-1, 0.5, 1, 2, 3]) {
  testGradients(`Pow by ${exponent}`, {
    compose: (graph, [x]) => graph.add('Pow', [x!, graph.scalar(exponent)]),
    dims: [[2, 5]],
    value: positive,
  });
}
testGradients('Pow by an int64 exponent each', {
  compose: (graph, [x]) => graph.add('Pow', [x!, graph.integers(1, 2, 3)]),
  dims: [[2, 3]],
  opsets: [12, 21],
});
testGradients('Pow of negative numbers', {
  compose: (graph, [x]) => graph.add('Pow', [x!, graph.scalar(3)]),
  dims: [[2, 3]],
});
testGradients('Mul by itself', { compose: (graph, [x]) => graph.add('Mul', [x!, x!]), dims: [[2, 3]] });

test.each(['Max', 'Min'])('inputs that tie for %s share the gradient evenly', async (op) => {
  const graph = createGraphBuilder();
  const inputs = ['a', 'b', 'c'].map((name) => graph.input(name, 'float32', [2]));
  graph.output('result', graph.add(op, inputs));
  const sign = op === 'Max' ? 1 : -1;
  const tensor = (...values: number[]) =>
    new Tensor(
      'float32',
      Float32Array.from(values, (value) => sign * value),
      [2],
    );
  const feeds = { a: tensor(1, 2), b: tensor(1, 2), c: tensor(0, 2) };
  const seed = { weights: Float32Array.of(6, 6), dims: [2] };
  const gradients = await differentiate(graph.build(), inputs, feeds, seed);
  expect(gradients.map((each) => [...each])).toEqual([
    [3, 2],
    [3, 2],
    [0, 2],
  ]);
});

test('0 by any power has no slope by the power', async () => {
  const graph = createGraphBuilder();
  const p = graph.input('p', 'float32', [2]);
  graph.output('result', graph.add('Pow', [graph.scalar(0), p]));
  const feeds = { p: new Tensor('float32', Float32Array.of(1, 3), [2]) };
  const [gradient] = await differentiate(graph.build(), ['p'], feeds, { weights: Float32Array.of(1, 1), dims: [2] });
  expect([...gradient!]).toEqual([0, 0]);
});

test('Pow by 0 has no slope, not even at 0', async () => {
  const graph = createGraphBuilder();
  const x = graph.input('x', 'float32', [2]);
  graph.output('result', graph.add('Pow', [x, graph.scalar(0)]));
  const feeds = { x: new Tensor('float32', Float32Array.of(0, 3), [2]) };
  const [gradient] = await differentiate(graph.build(), ['x'], feeds, { weights: Float32Array.of(1, 1), dims: [2] });
  expect([...gradient!]).toEqual([0, 0]);
});
