import { readFileSync } from 'node:fs';
import { Tensor } from 'onnxruntime-node';
import { expect, test } from 'vitest';
import { createGraphBuilder, type GraphBuilder } from '../../../../src/shared/onnx/graph-builder.js';
import { readModel } from '../../../../src/shared/onnx/model.js';
import { expectClose } from '../../../helpers/arrays.js';
import { pairs, sumsOf } from '../../../helpers/completeness.js';
import { goldenCases } from '../../../helpers/golden.js';
import { differentiate } from '../../../helpers/gradient-check.js';
import { randomGraph, randomGraphDims } from '../../../helpers/random-graphs.js';
import { D, squeezeExcitation, T, transformerBlock } from '../../../helpers/small-networks.js';

for (let seed = 0; seed < 40; seed++) {
  const { names, compose } = randomGraph(seed, { hasKinks: true, without: ['einsum'] });
  test(`completeness of the random graph ${seed}: ${names.join(', ')}`, async () => {
    const { samples, references, attributed, changed } = await sumsOf(compose, randomGraphDims(2 * pairs), seed);
    for (const [pair, sum] of attributed.entries()) {
      expect(Math.abs(sum - changed[pair]!) / (1 + Math.abs(changed[pair]!))).toBeLessThan(1e-4);
    }
    expect(Math.max(...samples.map((each, i) => Math.abs(each - references[i]!)))).toBeLessThan(1e-6);
  });
}

const constantOf = (graph: GraphBuilder, ...values: number[]) =>
  graph.constant(Float32Array.from(values), [values.length]);
const others: Record<string, (graph: GraphBuilder, inputs: string[]) => string> = {
  'a base to the power of the input': (graph, [x]) => graph.add('Pow', [constantOf(graph, 1, 2, 3, 4), x!]),
  'attention by Einsum': (graph, [x]) => {
    const scores = graph.add('Einsum', [x!, x!], { equation: 'bij,bkj->bik' });
    return graph.add('Einsum', [graph.add('Softmax', [scores]), x!], { equation: 'bik,bkj->bij' });
  },
  'a number over the input': (graph, [x]) =>
    graph.add('Div', [graph.scalar(2), graph.add('Add', [x!, graph.scalar(3)])]),
  'logits far apart': (graph, [x]) => graph.add('Softmax', [graph.add('Mul', [x!, graph.scalar(60)])]),
  'log of sums': (graph, [x]) => graph.add('ReduceLogSum', [graph.add('Exp', [x!])], { axes: [2] }),
  'sums of absolute values': (graph, [x]) => graph.add('ReduceL1', [x!], { axes: [1] }),
};
for (const [name, compose] of Object.entries(others)) {
  test(`completeness of ${name}`, async () => {
    const { attributed, changed } = await sumsOf(compose, randomGraphDims(2 * pairs), 5);
    for (const [pair, sum] of attributed.entries()) expect(sum).toBeCloseTo(changed[pair]!, 4);
  });
}

test.each([
  { name: 'a transformer block', compose: transformerBlock, dims: [2 * pairs, T, D] },
  { name: 'squeeze and excitation', compose: squeezeExcitation, dims: [2 * pairs, 4, 2, 2] },
])('completeness of $name', async ({ compose, dims }) => {
  const { attributed, changed } = await sumsOf((graph, [x]) => compose(graph, x!, 17), dims, 5);
  for (const [pair, sum] of attributed.entries()) expect(sum).toBeCloseTo(changed[pair]!, 4);
});

const refused: Record<string, (graph: GraphBuilder, inputs: string[]) => string> = {
  Gemm: (graph, [x]) => graph.add('Gemm', [x!, graph.add('Relu', [x!])]),
  MatMul: (graph, [x]) => graph.add('MatMul', [x!, x!]),
  Pow: (graph, [x]) => graph.add('Pow', [x!, x!]),
  Mul: (graph, [x]) => {
    const other = graph.add('Concat', [x!, graph.add('Slice', [x!, graph.integers(0), graph.integers(1)])], {
      axis: 0,
    });
    return graph.add('Mul', [other, other]);
  },
};
test.each(Object.entries(refused))('%s that mixes samples and references is refused', async (op, compose) => {
  await expect(sumsOf(compose, [4, 4], 0)).rejects.toMatchObject({
    code: 'OP_NOT_SUPPORTED',
    message: expect.stringContaining(op),
  });
});

test('the multiplier of a tiny change is the derivative', async () => {
  const graph = createGraphBuilder();
  const x = graph.input('x', 'float32', [4]);
  graph.output('result', graph.add('Sigmoid', [x]));
  const feeds = { x: new Tensor('float32', Float32Array.of(1, 2, 1 + 2e-7, -1), [4]) };
  const seed = { weights: new Float32Array(4).fill(1), dims: [4] };
  const [multipliers] = await differentiate(graph.build(), ['x'], feeds, seed, 'deeplift-rescale');
  const sigmoid = (value: number) => 1 / (1 + Math.exp(-value));
  const slope = sigmoid(1) * (1 - sigmoid(1));
  const rise = (sigmoid(2) - sigmoid(-1)) / 3;
  expectClose(multipliers!, [slope, rise, slope, rise], { atol: 1e-6 });
});

for (const golden of goldenCases('deep-shap')) {
  test(`deep-shap/${golden.name}: multipliers times differences, mean over references`, async () => {
    const [x, background] = [golden.float32('x'), golden.float32('background')];
    const [rows, ...sample] = x.shape as [number, ...number[]];
    const features = sample.reduce((product, size) => product * size, 1);
    const classes = golden.output('expected_value').data.length;
    const references = background.shape[0]!;
    const batch = rows * references;
    const paired = new Float32Array(2 * batch * features);
    for (let i = 0; i < batch; i++) {
      paired.set(x.data.subarray(Math.floor(i / references) * features).subarray(0, features), i * features);
      const reference = (i % references) * features;
      paired.set(background.data.subarray(reference, reference + features), (batch + i) * features);
    }
    const graph = createGraphBuilder({ base: readModel(readFileSync(golden.network())) });
    graph.output('result', 'logits');
    const feeds = { input: new Tensor('float32', paired, [2 * batch, ...sample]) };
    const phi = new Float64Array(rows * features * classes);
    for (let k = 0; k < classes; k++) {
      const weights = Float32Array.from({ length: 2 * batch * classes }, (_, i) => (i % classes === k ? 1 : 0));
      const seed = { weights, dims: [2 * batch, classes] };
      const [multipliers] = await differentiate(graph.build(), ['input'], feeds, seed, 'deeplift-rescale');
      for (let i = 0; i < batch * features; i++) {
        const row = Math.floor(i / features / references);
        phi[(row * features + (i % features)) * classes + k]! +=
          (multipliers![i]! * (paired[i]! - paired[i + batch * features]!)) / references;
      }
    }
    golden.check({ phi }, ['expected_value']);
  });
}
