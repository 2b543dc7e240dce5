import { Tensor } from 'onnxruntime-node';
import { expect, test } from 'vitest';
import { createRandom } from '../../../../src/shared/kernels/random.js';
import { appendGradients } from '../../../../src/shared/onnx/gradient.js';
import { createGraphBuilder, type GraphBuilder } from '../../../../src/shared/onnx/graph-builder.js';
import { type ElementType, elementTypes, type ModelProto, writeModel } from '../../../../src/shared/onnx/model.js';
import { createSession } from '../../../../src/shared/onnx/session.js';
import { traceTensors } from '../../../../src/shared/onnx/traced-tensors.js';
import { expectClose } from '../../../helpers/arrays.js';
import { testGradients } from '../../../helpers/gradient-cases.js';
import { differentiate } from '../../../helpers/gradient-check.js';

const weightsOf = (graph: GraphBuilder, seed: number) => {
  const random = createRandom(seed);
  return (...dims: number[]) => {
    const count = dims.reduce((product, size) => product * size, 1);
    return graph.constant(
      Float32Array.from({ length: count }, () => random.uniform() - 0.5),
      dims,
    );
  };
};

const [T, D, heads] = [4, 6, 2];

const meanOf = (graph: GraphBuilder, x: string, axes: number[], opset: number) =>
  opset < 18 ? graph.add('ReduceMean', [x], { axes }) : graph.add('ReduceMean', [x, graph.integers(...axes)]);

function layerNorm(graph: GraphBuilder, x: string, scale: string, bias: string, opset: number): string {
  const mean = meanOf(graph, x, [-1], opset);
  const centered = graph.add('Sub', [x, mean]);
  const variance = meanOf(graph, graph.add('Pow', [centered, graph.scalar(2)]), [-1], opset);
  const deviation = graph.add('Sqrt', [graph.add('Add', [variance, graph.scalar(1e-3)])]);
  return graph.add('Add', [graph.add('Mul', [graph.add('Div', [centered, deviation]), scale]), bias]);
}

function geluByErf(graph: GraphBuilder, x: string): string {
  const erf = graph.add('Erf', [graph.add('Div', [x, graph.scalar(Math.SQRT2)])]);
  const twice = graph.add('Mul', [x, graph.add('Add', [erf, graph.scalar(1)])]);
  return graph.add('Mul', [twice, graph.scalar(0.5)]);
}

function attention(graph: GraphBuilder, x: string, weights: (...dims: number[]) => string): string {
  const joined = graph.add('Add', [graph.add('MatMul', [x, weights(D, 3 * D)]), weights(3 * D)]);
  const split = graph.add('Reshape', [joined, graph.integers(0, T, 3, heads, D / heads)]);
  const byKind = graph.add('Transpose', [split], { perm: [2, 0, 3, 1, 4] });
  const [q, k, v] = [0, 1, 2].map((kind) =>
    graph.add('Gather', [byKind, graph.constant(BigInt64Array.of(BigInt(kind)), [])], { axis: 0 }),
  ) as [string, string, string];
  const scores = graph.add('MatMul', [q, graph.add('Transpose', [k], { perm: [0, 1, 3, 2] })]);
  const shares = graph.add('Softmax', [graph.add('Mul', [scores, graph.scalar(0.5)])], { axis: -1 });
  const mixed = graph.add('Transpose', [graph.add('MatMul', [shares, v])], { perm: [0, 2, 1, 3] });
  return graph.add('MatMul', [graph.add('Reshape', [mixed, graph.integers(0, T, D)]), weights(D, D)]);
}

/** A block of a vision transformer: tokens (N, T, D). */
function transformerBlock(graph: GraphBuilder, x: string, opset: number): string {
  const weights = weightsOf(graph, 1);
  const normed = (each: string) => layerNorm(graph, each, weights(D), weights(D), opset);
  const attended = graph.add('Add', [x, attention(graph, normed(x), weights)]);
  const hidden = graph.add('MatMul', [normed(attended), weights(D, 2 * D)]);
  const active = opset < 20 ? geluByErf(graph, hidden) : graph.add('Gelu', [hidden]);
  return graph.add('Add', [attended, graph.add('MatMul', [active, weights(2 * D, D)])]);
}

testGradients('a transformer block', {
  compose: (graph, [x], opset) => transformerBlock(graph, x!, opset),
  dims: [[1, T, D]],
  opsets: [13, 17, 20],
});
testGradients('a transformer block with Gelu by Erf', {
  compose: (graph, [x], opset) => transformerBlock(graph, x!, opset),
  dims: [[1, T, D]],
  opsets: [17],
});
testGradients('squeeze and excitation with SiLU', {
  compose: (graph, [x], opset) => {
    const weights = weightsOf(graph, 2);
    const silu = (each: string) => graph.add('Mul', [each, graph.add('Sigmoid', [each])]);
    const maps = silu(x!);
    const means = meanOf(graph, maps, [2, 3], opset);
    const squeezed = silu(graph.add('Gemm', [graph.add('Flatten', [means]), weights(2, 4), weights(2)], { transB: 1 }));
    const excited = graph.add('Sigmoid', [graph.add('MatMul', [squeezed, weights(2, 4)])]);
    return graph.add('Mul', [maps, graph.add('Reshape', [excited, graph.integers(0, 4, 1, 1)])]);
  },
  dims: [[2, 4, 2, 2]],
});

/** A network of three layers whose inner tensors are of the given type; its input and result are float32. */
function perceptron(type: ElementType): ModelProto {
  const graph = createGraphBuilder();
  const weights = weightsOf(graph, 3);
  const cast = (tensor: string, to: ElementType) => graph.add('Cast', [tensor], { to: elementTypes[to] });
  const layer = (x: string, from: number, to: number) =>
    graph.add('Gemm', [x, cast(weights(from, to), type), cast(weights(to), type)]);
  const x = cast(graph.input('x', 'float32', [2, 5]), type);
  const hidden = graph.add('Relu', [layer(x, 5, 8)], {}, 'hidden');
  const gate = graph.add('Sigmoid', [layer(hidden, 8, 8)]);
  const centered = graph.add('Sub', [hidden, meanOf(graph, hidden, [-1], 17)]);
  const logits = layer(graph.add('Mul', [centered, gate]), 8, 3);
  graph.output('result', cast(graph.add('Softmax', [logits]), 'float32'));
  return graph.build();
}

const feeds = {
  x: new Tensor(
    'float32',
    Float32Array.from({ length: 10 }, (_, i) => Math.sin(3 * i)),
    [2, 5],
  ),
};
const seed = { weights: Float32Array.of(1, -2, 3, 0.5, 2, -1), dims: [2, 3] };

test.each([
  { type: 'float16', atol: 2e-3 },
  { type: 'float64', atol: 1e-6 },
] as const)('gradients of a $type network are of its type', async ({ type, atol }) => {
  const [want] = await differentiate(perceptron('float32'), ['x'], feeds, seed);
  const model = perceptron(type);
  const [got] = await differentiate(model, ['x'], feeds, seed);
  expectClose(got!, want!, { atol });

  const graph = createGraphBuilder({ base: model });
  const seedName = graph.constant(seed.weights, seed.dims);
  const traced = await traceTensors(model, feeds);
  const byHidden = appendGradients(graph, model, traced, { output: 'result', seed: seedName, targets: ['hidden'] });
  graph.output('gradient', byHidden.get('hidden'), type);
  const session = await createSession(writeModel(graph.build()));
  const { gradient } = await session.run(feeds);
  await session.release();
  expect({ type: gradient!.type, dims: gradient!.dims }).toEqual({ type, dims: [2, 8] });
});

const microsoftOperators: Record<string, (graph: GraphBuilder, x: string) => string> = {
  FastGelu: (graph, x) => graph.add('Gelu', [x], { approximate: 'tanh' }),
  Gelu: (graph, x) => graph.add('Gelu', [x]),
  QuickGelu: (graph, x) => graph.add('Mul', [x, graph.add('Sigmoid', [graph.add('Mul', [x, graph.scalar(1.702)])])]),
};
test.each(Object.entries(microsoftOperators))("onnxruntime's own %s", async (opType, equivalent) => {
  const modelOf = (compose: typeof equivalent) => {
    const graph = createGraphBuilder({ opset: 20 });
    graph.output('result', compose(graph, graph.input('x', 'float32', [2, 5])));
    return graph.build();
  };
  const ones = { weights: new Float32Array(10).fill(1), dims: [2, 5] };
  const [want] = await differentiate(modelOf(equivalent), ['x'], feeds, ones);
  const model = modelOf((graph, x) => graph.add(opType, [x]));
  model.graph.node[0]!.domain = 'com.microsoft';
  model.opsetImport.push({ domain: 'com.microsoft', version: 1 });
  const [got] = await differentiate(model, ['x'], feeds, ones);
  expectClose(got!, want!, { atol: 1e-6 });
});
