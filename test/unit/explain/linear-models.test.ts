import { describe, expect, test } from 'vitest';
import { attribute } from '../../../src/explain/shap/attribute.js';
import { attributeLinear, findLinear } from '../../../src/explain/shap/linear-attribution.js';
import { linearScores, linearShap } from '../../../src/explain/shap/linear-shap.js';
import { openTabularModel } from '../../../src/explain/shap/tabular-model.js';
import { createRandom } from '../../../src/shared/kernels/random.js';
import { createGraphBuilder, type GraphBuilder } from '../../../src/shared/onnx/graph-builder.js';
import { attributeTypes, elementTypes, type ModelProto } from '../../../src/shared/onnx/model.js';
import { expectClose, float32 } from '../../helpers/arrays.js';
import { goldenCases } from '../../helpers/golden.js';

test.each(goldenCases('linear-shap'))('golden case $name', (golden) => {
  const doubles = (name: string) => Float64Array.from(golden.float32(name).data);
  const model = { coefficients: doubles('coef'), intercepts: doubles('intercept') };
  const background = doubles('background');
  const usual = linearScores(model, background);
  golden.check({
    phi: linearShap(model, background, doubles('x')),
    expected_value: usual.reduce((a, b) => a + b, 0) / usual.length,
  });
});

const random = createRandom(31);
const D = 4;
const K = 3;
const numbers = (length: number) => Float64Array.from({ length }, () => Math.fround(random.normal()));
const weights = float32(D * K, () => random.normal());
const bias = float32(K, () => random.normal());
const question = { rows: numbers(6 * D), background: numbers(5 * D) };

function graph(build: (builder: GraphBuilder, x: string) => string): ModelProto {
  const builder = createGraphBuilder();
  builder.output('logits', build(builder, builder.input('x', 'float32', ['N', D])));
  return builder.build();
}

const layers: Record<string, (g: GraphBuilder, x: string) => string> = {
  Gemm: (g, x) => g.add('Gemm', [x, g.constant(weights, [D, K]), g.constant(bias, [K])]),
  'Gemm with alpha, beta and transB': (g, x) =>
    g.add('Gemm', [x, g.constant(weights, [K, D]), g.constant(bias, [1, K])], {
      alpha: { float: 0.5 },
      beta: { float: 2 },
      transB: 1,
    }),
  'Gemm without bias': (g, x) => g.add('Gemm', [x, g.constant(weights, [D, K])]),
  MatMul: (g, x) => g.add('MatMul', [x, g.constant(weights, [D, K])]),
  'MatMul and Add': (g, x) => g.add('Add', [g.constant(bias, [K]), g.add('MatMul', [x, g.constant(weights, [D, K])])]),
  'scaled columns': (g, x) => {
    const centred = g.add('Sub', [
      x,
      g.constant(
        float32(D, (j) => j / 2),
        [1, D],
      ),
    ]);
    const scaled = g.add('Div', [
      centred,
      g.constant(
        float32(D, (j) => j + 1),
        [D],
      ),
    ]);
    return g.add('Gemm', [scaled, g.constant(weights, [D, K])]);
  },
  'chosen columns': (g, x) => {
    const chosen = g.add('Gather', [x, g.integers(3, 1)], { axis: 1 });
    return g.add('Gemm', [chosen, g.constant(weights.slice(0, 2 * K), [2, K])]);
  },
};

describe.each(Object.keys(layers))('%s', (name) => {
  test('is found and explained as by all coalitions', async () => {
    const model = openTabularModel(graph(layers[name]!), [D]);
    const linear = await attribute(model, 'auto', question);
    expect(linear).toMatchObject({ method: 'linear', scale: 'output', K });
    const exact = await attribute(model, 'exact', question);
    expectClose(linear.values, exact.values, { atol: 3e-6 });
    expectClose(linear.expected, exact.expected, { atol: 3e-6 });
    expect(linear.values.some((value) => Math.abs(value) > 0.1)).toBe(true);
  });
});

test('below an activation the margin is explained', async () => {
  const proto = graph((g, x) => g.add('Softmax', [layers.Gemm!(g, x)], { axis: 1 }));
  const model = openTabularModel(proto, [D]);
  const linear = await attribute(model, 'auto', question);
  expect(linear).toMatchObject({ method: 'linear', scale: 'margin', K });
  const margin = await attribute(model, 'exact', { ...question, scale: 'margin' });
  expectClose(linear.values, margin.values, { atol: 3e-6 });
  const probability = await attribute(model, 'auto', { ...question, scale: 'probability' });
  expect(probability).toMatchObject({ method: 'deep', scale: 'probability', K });
  expect(Math.abs(probability.predictions.subarray(0, K).reduce((a, b) => a + b, 0) - 1)).toBeLessThan(1e-6);
});

/** As scikit-learn's exporter writes it: two rows, each the other's negative. */
function logisticRegression(intercepts: number[]): ModelProto {
  const proto = graph((g, x) => g.add('Identity', [x]));
  const own = [1, -2, 0.5, 0];
  const floats = (name: string, values: number[]) => ({ name, type: attributeTypes.floats, floats: values });
  const float = { tensorType: { elemType: elementTypes.float32, shape: { dim: [{}, { dimValue: 2 }] } } };
  return {
    ...proto,
    opsetImport: [...proto.opsetImport, { domain: 'ai.onnx.ml', version: 1 }],
    graph: {
      ...proto.graph,
      node: [
        {
          opType: 'LinearClassifier',
          domain: 'ai.onnx.ml',
          input: ['x'],
          output: ['label', 'probabilities'],
          attribute: [
            floats('coefficients', [...own.map((value) => -value), ...own]),
            floats('intercepts', intercepts),
            { name: 'classlabels_ints', type: attributeTypes.ints, ints: [0, 1] },
            { name: 'post_transform', type: attributeTypes.string, s: new TextEncoder().encode('LOGISTIC') },
          ],
        },
      ],
      output: [
        { name: 'label', type: { tensorType: { elemType: elementTypes.int64, shape: { dim: [{}] } } } },
        { name: 'probabilities', type: float },
      ],
    },
  };
}

test('the margin of two classes is one output', async () => {
  const explained = await attribute(openTabularModel(logisticRegression([-0.25, 0.25]), [D]), 'auto', question);
  expect(explained).toMatchObject({ method: 'linear', scale: 'margin', K: 1 });
  const [a, b, c] = question.rows;
  expectClose(explained.predictions.subarray(0, 1), [a! - 2 * b! + 0.5 * c! + 0.25], { atol: 1e-6 });
  const skewed = await attribute(openTabularModel(logisticRegression([0.5, 0.25]), [D]), 'auto', question);
  expect(skewed.K).toBe(2);
});

test('what is not linear, or mixes or repeats columns, is not taken for it', async () => {
  const relu = openTabularModel(
    graph((g, x) => g.add('Relu', [layers.Gemm!(g, x)])),
    [D],
  );
  expect(await attribute(relu, 'auto', question)).toMatchObject({ method: 'deep' });
  await expect(attribute(relu, 'linear', question)).rejects.toMatchObject({
    code: 'OP_NOT_SUPPORTED',
    message: expect.stringContaining('(Relu)'),
  });
  const twoLayers = (g: GraphBuilder, x: string) =>
    g.add('Gemm', [layers.Gemm!(g, x), g.constant(weights.slice(0, K * K), [K, K])]);
  const mixed = openTabularModel(graph(twoLayers), [D]);
  await expect(attribute(mixed, 'linear', question)).rejects.toThrow(/makes features of several columns/);
  const twice = openTabularModel(
    graph((g, x) =>
      g.add('Gemm', [g.add('Gather', [x, g.integers(1, 1)], { axis: 1 }), g.constant(weights.slice(0, 6), [2, 3])]),
    ),
    [D],
  );
  await expect(attribute(twice, 'linear', question)).rejects.toThrow(/column 1 is used twice/);
  await expect(attribute(twice, 'tree', question)).rejects.toThrow(/Expected trees for the output logits/);
});

test('a background is asked for, and node covers are refused', async () => {
  const model = openTabularModel(graph(layers.Gemm!), [D]);
  for (const method of ['auto', 'exact', 'kernel'] as const) {
    await expect(attribute(model, method, { rows: question.rows })).rejects.toThrow(/Expected --background/);
  }
  await expect(attribute(model, 'auto', { ...question, nodeCover: [1] })).rejects.toThrow(/for trees only/);
  await expect(attribute(model, 'exact', { ...question, scale: 'probability' })).rejects.toThrow(/holds scores/);
});

test('a layer that onnxruntime computes otherwise than it was read is not explained', async () => {
  const model = openTabularModel(graph(layers.Gemm!), [D]);
  const found = findLinear(model);
  found.layer.linear.coefficients[3]! += 0.01;
  await expect(attributeLinear(model, found, question)).rejects.toMatchObject({ code: 'EXPLANATION_INCONSISTENT' });
});
