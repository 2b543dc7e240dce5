import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { createDifferentiator } from '../../../src/explain/differentiator.js';
import { requireMethod } from '../../../src/explain/methods.js';
import { bindNetwork } from '../../../src/explain/network.js';
import type { Question } from '../../../src/explain/question.js';
import { attribute } from '../../../src/explain/shap/attribute.js';
import { openTabularModel } from '../../../src/explain/shap/tabular-model.js';
import { createCompute } from '../../../src/shared/compute.js';
import { createRandom } from '../../../src/shared/kernels/random.js';
import { createGraphBuilder, type GraphBuilder } from '../../../src/shared/onnx/graph-builder.js';
import { attributeTypes, type ModelProto, readModel } from '../../../src/shared/onnx/model.js';
import { runGraph } from '../../../src/shared/onnx/run-graph.js';
import { expectClose } from '../../helpers/arrays.js';
import { goldenCases } from '../../helpers/golden.js';
import { T as tokens, transformerBlock, D as width } from '../../helpers/small-networks.js';

const D = 5;
const random = createRandom(12);
const draw = (count: number) => Float64Array.from({ length: count }, () => Math.fround(random.normal()));
const [rows, background] = [draw(7 * D), draw(6 * D)];
const question = { rows, background };

const weight = (graph: GraphBuilder, ...dims: number[]) =>
  graph.constant(Float32Array.from(draw(dims.reduce((product, size) => product * size, 1))), dims);

/** x (N, D) -> (N, 2), with something between its two layers. */
function network(between: (graph: GraphBuilder, hidden: string) => string, x = ['N', D] as (string | number)[]) {
  const graph = createGraphBuilder();
  const hidden = graph.add('MatMul', [graph.input('x', 'float32', x), weight(graph, D, 4)]);
  graph.output('y', graph.add('Gemm', [between(graph, hidden), weight(graph, 4, 2), weight(graph, 2)]));
  return openTabularModel(graph.build(), [D]);
}
const tanh = network((graph, hidden) => graph.add('Tanh', [hidden]));

describe.each(goldenCases('deep-shap'))('golden case deep-shap $name', (golden) => {
  const proto = readModel(readFileSync(golden.network()));
  const [x, usual] = [golden.float32('x'), golden.float32('background')];

  test('as rows', async () => {
    const model = openTabularModel(proto, x.shape.slice(1));
    const values = { rows: Float64Array.from(x.data), background: Float64Array.from(usual.data) };
    const { values: phi, expected, method } = await attribute(model, 'deep', values);
    expect(method).toBe('deep');
    golden.check({ phi, expected_value: expected });
  });

  test('as inputs of a classifier', async () => {
    const input = { data: x.data, dims: x.shape };
    const network = await bindNetwork(proto, input, 'logits');
    const targets = Array.from({ length: network.classes }, (_, k) => new Array<number>(x.shape[0]!).fill(k));
    const differentiator = createDifferentiator(network, runGraph);
    const asked: Question = { differentiator, run: runGraph, x: input, layout: 'nchw', targets };
    const explain = requireMethod('deep-shap').prepare({});
    const readArray = () => expect.fail('reads nothing');
    await expect(explain(asked, readArray)).rejects.toMatchObject({ code: 'ARGUMENT_INVALID' });
    const explained = await explain({ ...asked, background: { data: usual.data, dims: usual.shape } }, readArray);
    const phi = Float32Array.from(
      { length: x.data.length * targets.length },
      (_, i) => explained.maps[i % targets.length]!.data[Math.floor(i / targets.length)]!,
    );
    golden.check({ phi, expected_value: explained.expectedValues!.map((means) => means[0]!) });
    for (const gap of explained.completenessGaps!.flatMap((gaps) => [...gaps]))
      expect(Math.abs(gap)).toBeLessThan(1e-5);
    for (const { expected, received } of await explained.check!()) expect(received).toBeCloseTo(expected, 5);
  });
});

test('many pairs are explained in several runs as few are in one, and told of as rows', async () => {
  const many = { rows: draw(30 * D), background: draw(80 * D) };
  const told: number[] = [];
  const all = await attribute(tanh, 'deep', { ...many, onRows: (count) => told.push(count) });
  expect(told.length).toBeGreaterThan(2);
  expect(told.reduce((sum, count) => sum + count, 0)).toBe(30);
  for (const row of [0, 13, 29]) {
    const { values } = await attribute(tanh, 'deep', { ...many, rows: many.rows.slice(row * D, (row + 1) * D) });
    expectClose(all.values.subarray(row * D * 2, (row + 1) * D * 2), values, { atol: 1e-6 });
  }
});

test('threads give what one gives', async () => {
  const many = { rows: draw(150 * D), background };
  const alone = await attribute(tanh, 'deep', many);
  const compute = createCompute({ threads: 2 });
  try {
    const shared = await attribute(tanh, 'deep', many, () => compute);
    expectClose(shared.values, alone.values, { atol: 1e-6 });
  } finally {
    await compute.close();
  }
});

test('a column that is always the same has exactly no part in it', async () => {
  const fixed = (values: Float64Array) => values.map((value, i) => (i % D === 2 ? 0.7 : value));
  const { values } = await attribute(tanh, 'deep', { rows: fixed(rows), background: fixed(background) });
  const parts = values.filter((_, i) => Math.floor(i / 2) % D === 2);
  expect([...parts]).toEqual(new Array(14).fill(0));
  expect(values.every(Number.isFinite)).toBe(true);
});

test('what has no gradient, and nothing else, is left to exact and kernel by auto', async () => {
  const without = network((graph, hidden) => graph.add('Hardmax', [hidden]));
  expect(await attribute(without, 'auto', question)).toMatchObject({ method: 'exact' });
  await expect(attribute(without, 'deep', question)).rejects.toMatchObject({
    code: 'OP_NOT_SUPPORTED',
    message: expect.stringContaining('Hardmax'),
  });
  expect(await attribute(tanh, 'auto', question)).toMatchObject({ method: 'deep' });
  await expect(attribute(tanh, 'auto', { rows })).rejects.toMatchObject({ code: 'ARGUMENT_INVALID' });
});

const outside: Record<string, (graph: GraphBuilder, hidden: string) => string> = {
  Round: (graph, hidden) => graph.add('Add', [hidden, graph.add('Round', [hidden])]),
  Greater: (graph, hidden) =>
    graph.add('Where', [graph.add('Greater', [hidden, graph.scalar(0.2)]), hidden, graph.scalar(-1)]),
};
test.each(Object.entries(outside))('%s lies outside the theorem, which the values show', async (op, between) => {
  const model = network(between);
  await expect(attribute(model, 'deep', question)).rejects.toMatchObject({
    code: 'EXPLANATION_INCONSISTENT',
    message: expect.stringMatching(new RegExp(`miss it by [0-9.]+: DeepLIFT cannot pass differences through ${op}`)),
  });
  expect(await attribute(model, 'auto', question)).toMatchObject({ method: 'exact' });
});

test('a batch of one that is only declared is freed, one that a Reshape fixes is named', async () => {
  const declared = network((graph, hidden) => graph.add('Relu', [hidden]), [1, D]);
  const { additivityGap } = await attribute(declared, 'deep', question);
  expect(additivityGap).toBeLessThan(1e-5);
  const fixed = network((graph, hidden) => graph.add('Reshape', [hidden, graph.integers(1, 4)]), [1, D]);
  await expect(attribute(fixed, 'deep', { ...question, rows: rows.slice(0, D) })).rejects.toMatchObject({
    code: 'MODEL_INPUT_MISMATCH',
    message: expect.stringMatching(/the batch is fixed by Reshape \(node .*: export it with a free batch axis$/),
  });
});

test('attention is covered', async () => {
  const graph = createGraphBuilder();
  const block = transformerBlock(graph, graph.input('x', 'float32', ['N', tokens, width]), 17);
  graph.output('y', graph.add('ReduceMean', [block], { axes: [1], keepdims: 0 }));
  const model = openTabularModel(graph.build(), [tokens, width]);
  const size = tokens * width;
  const explained = await attribute(model, 'auto', { rows: draw(2 * size), background: draw(3 * size) });
  expect(explained.method).toBe('deep');
  expect(explained.additivityGap).toBeLessThan(1e-4);
});

test('one input for each column, also float64 and whole ones, is explained as one for all', async () => {
  const types = ['float32', 'float64', 'int64', 'float32', 'float32'] as const;
  const graph = createGraphBuilder();
  const columns = types.map((type, j) => {
    const input = graph.input(`column ${j}`, type, ['N', 1]);
    return type === 'float32' ? input : graph.add('Cast', [input], { to: 1 });
  });
  const hidden = graph.add('Sigmoid', [
    graph.add('MatMul', [graph.add('Concat', columns, { axis: 1 }), weight(graph, D, 4)]),
  ]);
  graph.output('y', graph.add('MatMul', [hidden, weight(graph, 4, 2)]));
  const named = graph.build();
  const joined: ModelProto = { ...named, graph: { ...named.graph, input: [], node: [] } };
  const whole = createGraphBuilder({ base: joined });
  const x = whole.input('x', 'float32', ['N', D]);
  const node = named.graph.node.slice(2).map((each) => (each.opType === 'Concat' ? { ...each, input: [x] } : each));
  const plain = {
    ...named,
    graph: { ...whole.build().graph, ...{ node, initializer: named.graph.initializer, output: named.graph.output } },
  };
  const fixed = (values: Float64Array) => values.map((value, i) => (i % D === 2 ? 3 : value));
  const given = { rows: fixed(rows), background: fixed(background) };
  const [byColumn, all] = [
    await attribute(openTabularModel(named, [D]), 'deep', given),
    await attribute(openTabularModel(plain, [D]), 'deep', given),
  ];
  expectClose(byColumn.values, all.values, { atol: 1e-6 });
  const varying = attribute(openTabularModel(named, [D]), 'deep', { rows: rows.map(Math.round), background });
  await expect(varying).rejects.toMatchObject({ code: 'EXPLANATION_INCONSISTENT' });
});

test('scaled and chosen columns before a network are followed', async () => {
  const graph = createGraphBuilder();
  const x = graph.input('x', 'float32', ['N', D]);
  const [offset, scale] = [
    [0.5, -1, 2],
    [2, 3, 0.25],
  ];
  const node = (opType: string, input: string[], output: string, floats: Record<string, number[]> = {}) => ({
    opType,
    domain: 'ai.onnx.ml',
    input,
    output: [output],
    attribute: Object.entries(floats).map(([name, values]) => ({ name, type: attributeTypes.floats, floats: values })),
  });
  const chosen = graph.constant(BigInt64Array.of(4n, 0n, 2n), [3], 'chosen');
  const hidden = graph.add('Tanh', [graph.add('MatMul', ['scaled', weight(graph, 3, 4)])]);
  graph.output('y', graph.add('MatMul', [hidden, weight(graph, 4, 1)]));
  const plain = graph.build();
  const before = [
    node('ArrayFeatureExtractor', [x, chosen], 'three'),
    node('Scaler', ['three'], 'scaled', { offset, scale }),
  ];
  const proto: ModelProto = {
    ...plain,
    opsetImport: [...plain.opsetImport, { domain: 'ai.onnx.ml', version: 1 }],
    graph: {
      ...plain.graph,
      node: [...before, ...plain.graph.node],
      initializer: [...graph.build().graph.initializer, constantOf(chosen)],
    },
  };
  const explained = await attribute(openTabularModel(proto, [D]), 'auto', question);
  expect(explained.method).toBe('deep');
  expect(explained.additivityGap).toBeLessThan(1e-5);
  const unused = explained.values.filter((_, i) => i % D === 1 || i % D === 3);
  expect([...unused]).toEqual(new Array(14).fill(0));
});

const constantOf = (name: string) => ({ name, dims: [3], dataType: 7, int64Data: [4, 0, 2] });
