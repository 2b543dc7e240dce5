import { readFileSync } from 'node:fs';
import { Tensor } from 'onnxruntime-node';
import { expect, test } from 'vitest';
import { createRandom } from '../../../src/shared/kernels/random.js';
import { createGraphBuilder, type GraphBuilder, tensorOf } from '../../../src/shared/onnx/graph-builder.js';
import { type ModelProto, readModel, writeModel } from '../../../src/shared/onnx/model.js';
import { findPooledLinearHead } from '../../../src/shared/onnx/pooled-linear-head.js';
import { createSession } from '../../../src/shared/onnx/session.js';
import { expectClose, float32 } from '../../helpers/arrays.js';

const [C, h, w, K] = [5, 6, 4, 3];
const random = createRandom(11);
const normals = (length: number) => float32(length, () => random.normal());
const matrix = normals(K * C);
const bias = normals(K);

/** Adds nodes behind a tensor and returns the last one's. */
type Step = (graph: GraphBuilder, tensor: string) => string;
interface Parts {
  pool?: Step;
  between?: Step;
  linear?: Step;
  end?: Step;
  opset?: number;
}

const global: Step = (graph, x) => graph.add('GlobalAveragePool', [x], {}, 'pooled');
const flatten: Step = (graph, x) => graph.add('Flatten', [x], { axis: 1 });
const gemm: Step = (graph, x) =>
  graph.add('Gemm', [x, graph.constant(matrix, [K, C]), graph.constant(bias, [K])], { transB: 1 }, 'scored');
const same: Step = (_, x) => x;

/** x (1, 3, h, w) -> Conv -> `map` (1, C, h, w) -> pool -> between -> linear -> end -> `y` */
function classifier({ pool = global, between = flatten, linear = gemm, end = same, opset = 17 }: Parts): ModelProto {
  const graph = createGraphBuilder({ opset });
  const convolved = graph.add('Conv', [
    graph.input('x', 'float32', [1, 3, h, w]),
    graph.constant(normals(C * 3), [C, 3, 1, 1]),
  ]);
  const map = graph.add('Relu', [convolved], {}, 'map');
  graph.output('y', end(graph, linear(graph, between(graph, pool(graph, map)))));
  return graph.build();
}

const averagePool = (attributes: Record<string, number | string | number[]>): Step => {
  return (graph, x) => graph.add('AveragePool', [x], { kernel_shape: [h, w], ...attributes }, 'pooled');
};
const reduceMean = (attributes: Record<string, number | number[]>): Step => {
  return (graph, x) => graph.add('ReduceMean', [x], attributes, 'pooled');
};
const reduceMeanOverInput = (axes: number[], keepdims: number): Step => {
  return (graph, x) => graph.add('ReduceMean', [x, graph.integers(...axes)], { keepdims }, 'pooled');
};
const matMul: Step = (graph, x) => graph.add('MatMul', [x, graph.constant(matrix, [C, K])], {}, 'scored');

const accepted: [string, Parts][] = [
  ['GlobalAveragePool, Flatten, Gemm', {}],
  ['ReduceMean over [2, 3] without keepdims', { pool: reduceMean({ axes: [2, 3], keepdims: 0 }), between: same }],
  ['ReduceMean over [-1, -2] with keepdims', { pool: reduceMean({ axes: [-1, -2], keepdims: 1 }) }],
  ['ReduceMean with axes as its input', { pool: reduceMeanOverInput([2, 3], 0), between: same, opset: 18 }],
  ['ReduceMean with axes as its input and keepdims', { pool: reduceMeanOverInput([-2, -1], 1), opset: 18 }],
  ['AveragePool over the whole map', { pool: averagePool({}) }],
  ['AveragePool without padding by auto_pad', { pool: averagePool({ auto_pad: 'VALID', pads: [0, 0, 0, 0] }) }],
  ['Reshape', { between: (graph, x) => graph.add('Reshape', [x, graph.integers(-1, C)]) }],
  [
    'Reshape to a shape that the graph computes',
    {
      between(graph, x) {
        const batch = graph.add('Gather', [graph.add('Shape', [x]), graph.integers(0)], { axis: 0 });
        return graph.add('Reshape', [x, graph.add('Concat', [batch, graph.integers(-1)], { axis: 0 })]);
      },
    },
  ],
  ['Squeeze', { between: (graph, x) => graph.add('Squeeze', [x, graph.integers(2, 3)]) }],
  [
    'Dropout, Identity and Flatten',
    { between: (graph, x) => flatten(graph, graph.add('Identity', [graph.add('Dropout', [x])])) },
  ],
  [
    'Gemm without transB, with alpha and beta',
    {
      linear: (graph, x) =>
        graph.add('Gemm', [x, graph.constant(matrix, [C, K]), graph.constant(bias, [1, K])], {
          alpha: { float: 0.5 },
          beta: { float: -2 },
        }),
    },
  ],
  ['Gemm without a bias', { linear: (graph, x) => graph.add('Gemm', [x, graph.constant(matrix, [C, K])]) }],
  [
    'Gemm with one bias for all',
    { linear: (graph, x) => graph.add('Gemm', [x, graph.constant(matrix, [C, K]), graph.scalar(3)]) },
  ],
  ['MatMul', { linear: matMul }],
  ['MatMul and Add', { linear: (graph, x) => graph.add('Add', [matMul(graph, x), graph.constant(bias, [K])]) }],
  [
    'Add of a bias that comes first',
    { linear: (graph, x) => graph.add('Add', [graph.constant(bias, [K]), matMul(graph, x)]) },
  ],
  [
    'MatMul, Reshape and Add',
    {
      linear: (graph, x) =>
        graph.add('Add', [graph.add('Reshape', [matMul(graph, x), graph.integers(1, K)]), graph.constant(bias, [K])]),
    },
  ],
  [
    'weights in a Constant node',
    {
      linear(graph, x) {
        const weights = graph.add('Constant', [], { value: { tensor: tensorOf(matrix, [C, K]) } });
        return graph.add('Gemm', [x, weights]);
      },
    },
  ],
  [
    'weights through Identity',
    {
      linear: (graph, x) => graph.add('MatMul', [x, graph.add('Identity', [graph.constant(matrix, [C, K])])]),
    },
  ],
];

/** Fails unless the network's own scores are what the recognised weights make of the means of the recognised layer. */
async function expectHead(model: ModelProto, output: string) {
  const head = findPooledLinearHead(model, output);
  const outputs = [...new Set([head.layer, head.logits, output])].map((name) => ({ name }));
  const session = await createSession(writeModel({ ...model, graph: { ...model.graph, output: outputs } }));
  const feed = new Tensor('float32', normals(3 * h * w), [1, 3, h, w]);
  const results = await session.run({ x: feed });
  const map = results[head.layer]!;
  expect(map.dims).toEqual([1, head.channels, h, w]);
  const values = map.data as Float32Array;
  const scores = Array.from({ length: head.classes }, (_, k) => {
    let score = head.bias[k]!;
    for (let i = 0; i < values.length; i++) {
      score += (head.weights[k * head.channels + Math.floor(i / (h * w))]! * values[i]!) / (h * w);
    }
    return score;
  });
  expectClose(results[head.logits]!.data as Float32Array, scores, { atol: 1e-5, rtol: 1e-5 }, 'logits');
  return { head, scores, result: results[output]!.data as Float32Array };
}

test.each(accepted)('%s is a pooled linear head', async (name, parts) => {
  const { head, scores, result } = await expectHead(classifier(parts), 'y');
  expect(head).toMatchObject({ layer: 'map', logits: 'y', classes: K, channels: C, activation: 'none' });
  expect(head.mapSize).toEqual(name.startsWith('AveragePool') ? { height: h, width: w } : undefined);
  expectClose(result, scores, { atol: 1e-5, rtol: 1e-5 });
});

const softmax = (scores: number[]) => {
  const powers = scores.map(Math.exp);
  return powers.map((power) => power / powers.reduce((sum, each) => sum + each));
};
const ends: [string, Parts, string, (scores: number[]) => number[]][] = [
  ['Softmax', { end: (graph, x) => graph.add('Softmax', [x]) }, 'softmax', softmax],
  ['Softmax along the second axis', { end: (graph, x) => graph.add('Softmax', [x], { axis: 1 }) }, 'softmax', softmax],
  ['Softmax of opset 11', { end: (graph, x) => graph.add('Softmax', [x]), opset: 11 }, 'softmax', softmax],
  [
    'LogSoftmax',
    { end: (graph, x) => graph.add('LogSoftmax', [x], { axis: -1 }) },
    'log-softmax',
    (scores) => softmax(scores).map(Math.log),
  ],
  [
    'Sigmoid and Reshape',
    { end: (graph, x) => graph.add('Reshape', [graph.add('Sigmoid', [x]), graph.integers(K)]) },
    'sigmoid',
    (scores) => scores.map((score) => 1 / (1 + Math.exp(-score))),
  ],
];

test.each(ends)('before %s lie the logits', async (_, parts, activation, applied) => {
  const { head, scores, result } = await expectHead(classifier(parts), 'y');
  expect(head).toMatchObject({ layer: 'map', logits: 'scored', activation });
  expectClose(result, applied(scores), { atol: 1e-5, rtol: 1e-5 });
});

const refused: [string, Parts, node: string, op: string, also?: RegExp][] = [
  [
    'Relu before the linear layer',
    { between: (graph, x) => graph.add('Relu', [flatten(graph, x)], {}, 'bent') },
    'bent',
    'Relu',
  ],
  ['Relu after the linear layer', { end: (graph, x) => graph.add('Relu', [x], {}, 'bent') }, 'bent', 'Relu'],
  [
    'a second linear layer',
    {
      linear: (graph, x) => graph.add('MatMul', [gemm(graph, x), graph.constant(normals(K * K), [K, K])], {}, 'second'),
    },
    'scored',
    'Gemm',
  ],
  ['GlobalMaxPool', { pool: (graph, x) => graph.add('GlobalMaxPool', [x], {}, 'pooled') }, 'pooled', 'GlobalMaxPool'],
  [
    'no pooling',
    {
      pool: same,
      linear: (graph, x) => graph.add('MatMul', [x, graph.constant(normals(C * h * w * K), [C * h * w, K])]),
    },
    'map',
    'Relu',
  ],
  [
    'no layer',
    {
      pool: () => 'x',
      linear: (graph, x) => graph.add('MatMul', [x, graph.constant(normals(3 * h * w * K), [3 * h * w, K])]),
    },
    '',
    '',
    /the network's input/,
  ],
  [
    'ReduceMean over a channel axis',
    {
      pool: reduceMean({ axes: [1, 2], keepdims: 0 }),
      linear: (graph, x) => graph.add('MatMul', [x, graph.constant(normals(w * K), [w, K])]),
    },
    'pooled',
    'ReduceMean',
    /axes \[1,2\]/,
  ],
  [
    'ReduceMean over all axes',
    {
      pool: reduceMean({}),
      linear: (graph, x) => graph.add('MatMul', [x, graph.constant(normals(K), [1, K])]),
    },
    'pooled',
    'ReduceMean',
    /axes \[\]/,
  ],
  [
    'AveragePool with padding',
    { pool: averagePool({ pads: [1, 1, 1, 1], strides: [9, 9] }) },
    'pooled',
    'AveragePool',
    /padded/,
  ],
  [
    'AveragePool that pads by itself',
    { pool: averagePool({ auto_pad: 'SAME_UPPER', strides: [9, 9] }) },
    'pooled',
    'AveragePool',
    /padded/,
  ],
  [
    'Gemm with transA',
    {
      between: (graph, x) => graph.add('Reshape', [x, graph.integers(C, 1)]),
      linear: (graph, x) => graph.add('Gemm', [x, graph.constant(matrix, [C, K])], { transA: 1 }, 'scored'),
    },
    'scored',
    'Gemm',
    /transA/,
  ],
  [
    'weights that are computed',
    {
      linear: (graph, x) => graph.add('MatMul', [x, graph.add('Neg', [graph.constant(matrix, [C, K])])], {}, 'scored'),
    },
    'scored',
    'MatMul',
    /no constant matrix/,
  ],
  [
    'weights in front',
    {
      between: (graph, x) => graph.add('Reshape', [x, graph.integers(C, 1)]),
      linear: (graph, x) => graph.add('MatMul', [graph.constant(matrix, [K, C]), x], {}, 'scored'),
    },
    'scored',
    'MatMul',
    /no constant matrix/,
  ],
  [
    'a bias that is computed',
    {
      linear: (graph, x) =>
        graph.add('Gemm', [x, graph.constant(matrix, [C, K]), graph.add('Neg', [graph.scalar(1)])], {}, 'scored'),
    },
    'scored',
    'Gemm',
    /no constant bias of 3/,
  ],
  [
    'a sum of two tensors',
    {
      linear(graph, x) {
        const product = matMul(graph, x);
        return graph.add('Add', [product, graph.add('Neg', [product])], {}, 'sum');
      },
    },
    'sum',
    'Add',
  ],
  [
    'Softmax along the batch',
    { end: (graph, x) => graph.add('Softmax', [x], { axis: 0 }, 'bent') },
    'bent',
    'Softmax',
    /axis 0/,
  ],
];

test.each(refused)('%s is refused and named', (_, parts, node, op, also = /stands in between/) => {
  const named = node ? [`${node} (${op})`] : [];
  expect(() => findPooledLinearHead(classifier(parts), 'y')).toThrowError(
    expect.objectContaining({ code: 'CLASSIFIER_NOT_SUPPORTED', message: expect.stringMatching(also) }),
  );
  for (const part of [...named, 'only such pooled and linear heads can be explained so far']) {
    expect(() => findPooledLinearHead(classifier(parts), 'y')).toThrow(part);
  }
});

const network = (name: string) =>
  readModel(readFileSync(new URL(`../../golden/nets/${name}.onnx`, import.meta.url)), name);

test.each([
  ['relu-gap', 16],
  ['residual-clip-gap', 12],
  ['mbconv-se-gap', 20],
  ['dead-relu', 16],
])('the golden network %s is recognised', (name, channels) => {
  const head = findPooledLinearHead(network(name), 'logits');
  expect(head).toMatchObject({ layer: 'features', logits: 'logits', classes: 5, channels, activation: 'none' });
  expect([head.weights.length, head.bias.length]).toEqual([5 * channels, 5]);
});

test('the golden network flatten-mlp is refused for the Relu between its linear layers', () => {
  expect(() => findPooledLinearHead(network('flatten-mlp'), 'logits')).toThrowError(
    expect.objectContaining({
      code: 'CLASSIFIER_NOT_SUPPORTED',
      message: expect.stringContaining('the node n7_relu (Relu) stands in between'),
      details: { node: 'n7_relu', op: 'Relu' },
    }),
  );
});
