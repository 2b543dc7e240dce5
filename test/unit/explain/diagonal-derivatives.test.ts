import { expect, test } from 'vitest';
import { gradCamPlusPlusByDerivatives } from '../../../src/explain/cam/grad-cam-plus-plus-variants.js';
import { createDiagonalDerivatives } from '../../../src/explain/diagonal-derivatives.js';
import { createDifferentiator, seedOf } from '../../../src/explain/differentiator.js';
import { methods } from '../../../src/explain/methods.js';
import { bindNetwork } from '../../../src/explain/network.js';
import { createRandom } from '../../../src/shared/kernels/random.js';
import { createGraphBuilder } from '../../../src/shared/onnx/graph-builder.js';
import { runGraph } from '../../../src/shared/onnx/run-graph.js';
import { expectClose, float32 } from '../../helpers/arrays.js';
import { goldenCase, goldenCases } from '../../helpers/golden.js';
import { openGoldenLayer } from '../../helpers/networks.js';

/** Derivatives of Y = exp(S), divided by Y. */
const ofExp = (g: ArrayLike<number>, second: Float64Array, third: Float64Array) => ({
  d2: second.map((value, i) => value + g[i]! ** 2),
  d3: third.map((value, i) => value + 3 * g[i]! * second[i]! + g[i]! ** 3),
});

test.each(goldenCases('grad-cam-plus-plus-derivatives'))('golden case $name', async (golden) => {
  const { differentiator, question, x, target } = await openGoldenLayer(golden);
  const { network } = differentiator;
  const { activations, gradients } = await differentiator.layerGradient('features', x.data, seedOf([target], 5));
  const derivativesOf = await createDiagonalDerivatives(network, 'features', runGraph);
  const { second, third } = await derivativesOf(activations.data, x.data, target);
  const explain = methods['grad-cam++']!.prepare({ variant: 'derivatives' });
  const { maps } = await explain(question, () => Promise.reject(new Error('no array is named')));
  golden.check({ d1: gradients, ...ofExp(gradients, second, third), map: maps[0]!.data });
});

test('before a SiLU, second and third derivatives are those that the golden case states', async () => {
  const { differentiator, x, target } = await openGoldenLayer(
    goldenCase('grad-cam-plus-plus-derivatives', 'mbconv-se-gap'),
  );
  const layer = 'n21_conv';
  const { activations, gradients } = await differentiator.layerGradient(layer, x.data, seedOf([target], 5));
  const derivativesOf = await createDiagonalDerivatives(differentiator.network, layer, runGraph);
  const told: number[] = [];
  const { second, third } = await derivativesOf(activations.data, x.data, target, (done) => told.push(done));
  const { d2, d3 } = ofExp(gradients, second, third);
  const largest = (values: Float64Array) => values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  const got = [
    largest(d2.map((value, i) => value - gradients[i]! ** 2)),
    largest(d2),
    largest(d3.map((value, i) => value - gradients[i]! ** 3)),
  ];
  expectClose(got, [0.012337143052157221, 0.012188103804759022, 0.008032417317788703], { rtol: 1e-4 });
  expect(told.at(-1)).toBe(20 * 8 * 8);
});

/** S = Σ w (a b)³ with neighbours multiplied, so that mixed derivatives are not 0 and row sums differ from the diagonal. */
test.each(['any batch', 'a batch of 1'])('mixed derivatives stay out, for a network that takes %s', async (batches) => {
  const graph = createGraphBuilder();
  const input = graph.input('input', 'float32', [batches === 'any batch' ? 'N' : 1, 2, 2, 2]);
  const layer = graph.add('Mul', [input, graph.scalar(1)], {}, 'layer');
  const cubes = graph.add('Pow', [layer, graph.scalar(3)]);
  const total = graph.add('ReduceSum', [layer, graph.integers(1, 2, 3)], { keepdims: 1 });
  const rows = graph.add('Mul', [cubes, total]);
  const flat =
    batches === 'any batch' ? graph.add('Flatten', [rows]) : graph.add('Reshape', [rows, graph.integers(1, 8)]);
  const weights = float32(16, (i) => Math.sin(i + 1));
  graph.add('MatMul', [flat, graph.constant(weights, [8, 2])], {}, 'logits');
  graph.output('logits');

  const random = createRandom(3);
  const a = float32(8, () => random.uniform() + 0.5);
  const network = await bindNetwork(graph.build(), { data: a, dims: [1, 2, 2, 2] });
  const { second, third } = await (await createDiagonalDerivatives(network, 'layer', runGraph))(a, a, 1);
  // S = Σ_i w_i a_i³ · Σ_j a_j
  const w = weights.filter((_, i) => i % 2 === 1);
  const sum = a.reduce((all, value) => all + value, 0);
  expectClose(
    second,
    float32(8, (i) => w[i]! * (6 * a[i]! * sum + 6 * a[i]! ** 2)),
    { atol: 1e-3, rtol: 1e-4 },
  );
  expectClose(
    third,
    float32(8, (i) => w[i]! * (6 * sum + 18 * a[i]!)),
    { atol: 1e-3, rtol: 1e-4 },
  );

  const { gradients } = await createDifferentiator(network, runGraph).layerGradient('layer', a, seedOf([1], 2));
  const { map, channelWeights } = gradCamPlusPlusByDerivatives(a, gradients, { second, third }, 2, 2, 2);
  const { d2, d3 } = ofExp(gradients, second, third);
  const want = [0, 1].map((c) => {
    const A = a.subarray(4 * c, 4 * c + 4).reduce((all, value) => all + value, 0);
    const weight = (i: number) => (d2[i]! / (2 * d2[i]! + A * d3[i]!)) * Math.max(gradients[i]!, 0);
    return [0, 1, 2, 3].reduce((all, p) => all + weight(4 * c + p), 0);
  });
  expectClose(channelWeights, want, { rtol: 1e-9 });
  expectClose(
    map,
    float32(4, (p) => want[0]! * a[p]! + want[1]! * a[4 + p]!),
    { rtol: 1e-5 },
  );
});
