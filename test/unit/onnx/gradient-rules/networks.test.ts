import { Tensor } from 'onnxruntime-node';
import { expect, test } from 'vitest';
import { appendGradients } from '../../../../src/shared/onnx/gradient.js';
import { createGraphBuilder, type GraphBuilder } from '../../../../src/shared/onnx/graph-builder.js';
import { type ElementType, elementTypes, type ModelProto, writeModel } from '../../../../src/shared/onnx/model.js';
import { createSession } from '../../../../src/shared/onnx/session.js';
import { traceTensors } from '../../../../src/shared/onnx/traced-tensors.js';
import { expectClose } from '../../../helpers/arrays.js';
import { testGradients } from '../../../helpers/gradient-cases.js';
import { differentiate } from '../../../helpers/gradient-check.js';
import { D, meanOf, squeezeExcitation, T, transformerBlock, weightsOf } from '../../../helpers/small-networks.js';

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
  compose: (graph, [x], opset) => squeezeExcitation(graph, x!, opset),
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
