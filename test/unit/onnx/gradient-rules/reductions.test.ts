import { Tensor } from 'onnxruntime-node';
import { expect, test } from 'vitest';
import { createGraphBuilder } from '../../../../src/shared/onnx/graph-builder.js';
import { testGradients } from '../../../helpers/gradient-cases.js';
import { differentiate } from '../../../helpers/gradient-check.js';

const positive = (uniform: number) => 1.5 + 0.9 * uniform;
const spread = (uniform: number) => 3 * uniform;
const reductions: Record<string, { axesAsInputSince: number; value?: (uniform: number) => number; step?: number }> = {
  ReduceL1: { axesAsInputSince: 18, value: (uniform) => Math.sign(uniform) * (0.1 + Math.abs(uniform)) },
  ReduceL2: { axesAsInputSince: 18 },
  ReduceLogSum: { axesAsInputSince: 18, value: positive },
  ReduceLogSumExp: { axesAsInputSince: 18 },
  ReduceMax: { axesAsInputSince: 18, value: spread, step: 4e-3 },
  ReduceMean: { axesAsInputSince: 18 },
  ReduceMin: { axesAsInputSince: 18, value: spread, step: 4e-3 },
  ReduceSum: { axesAsInputSince: 13 },
  ReduceSumSquare: { axesAsInputSince: 18 },
};

for (const [op, { axesAsInputSince, ...checked }] of Object.entries(reductions)) {
  for (const axes of [[-2], [0, 2], undefined]) {
    for (const keepdims of [0, 1]) {
      testGradients(`${op} along ${axes ?? 'all axes'}, keepdims ${keepdims}`, {
        compose: (graph, [x], opset) => {
          if (!axes) return graph.add(op, [x!], { keepdims });
          if (opset < axesAsInputSince) return graph.add(op, [x!], { axes, keepdims });
          return graph.add(op, [x!, graph.integers(...axes)], { keepdims });
        },
        dims: [[2, 3, 2]],
        opsets: [axesAsInputSince - 1, axesAsInputSince],
        ...checked,
      });
    }
  }
}

for (const op of ['ReduceMax', 'ReduceMean', 'ReduceMin', 'ReduceSum']) {
  testGradients(`${op} along no axes`, {
    compose: (graph, [x]) => graph.add(op, [x!, graph.integers()], { noop_with_empty_axes: 1 }),
    dims: [[2, 3]],
    opsets: [18],
  });
}

async function gradientOf(op: string, values: number[]): Promise<number[]> {
  const graph = createGraphBuilder();
  const x = graph.input('x', 'float32', [1, values.length]);
  graph.output('result', graph.add(op, [x], { axes: [1] }));
  const feeds = { x: new Tensor('float32', Float32Array.from(values), [1, values.length]) };
  const [gradient] = await differentiate(graph.build(), ['x'], feeds, { weights: Float32Array.of(6), dims: [1, 1] });
  return [...gradient!];
}

test('values that tie for ReduceMax or ReduceMin share the gradient evenly', async () => {
  expect(await gradientOf('ReduceMax', [2, 1, 2, 2])).toEqual([2, 0, 2, 2]);
  expect(await gradientOf('ReduceMin', [2, 1, 1, 2])).toEqual([0, 3, 3, 0]);
});

test('the length of a vector of zeros has no slope', async () => {
  expect(await gradientOf('ReduceL2', [0, 0])).toEqual([0, 0]);
});
