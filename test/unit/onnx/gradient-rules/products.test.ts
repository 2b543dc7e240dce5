import { expect, test } from 'vitest';
import { compareGradients } from '../../../helpers/gradient-check.js';

const close = 2e-3;

const gemms = [
  { transA: 0, transB: 0, alpha: 1, beta: 1, c: [4] },
  { transA: 1, transB: 0, alpha: 0.5, beta: 2, c: [3, 4] },
  { transA: 0, transB: 1, alpha: -1.5, beta: 0.25, c: [3, 1] },
  { transA: 1, transB: 1, alpha: 2, beta: 1, c: [1] },
  { transA: 0, transB: 1, alpha: 1, beta: 1, c: undefined },
];
for (const { transA, transB, alpha, beta, c } of gemms) {
  test(`Gemm, transA ${transA}, transB ${transB}, alpha ${alpha}, beta ${beta}, C [${c}]`, async () => {
    const dims = [transA ? [2, 3] : [3, 2], transB ? [4, 2] : [2, 4], ...(c ? [c] : [])];
    const { largestDifference } = await compareGradients({
      compose: (graph, inputs) =>
        graph.add('Gemm', inputs, { transA, transB, alpha: { float: alpha }, beta: { float: beta } }),
      dims,
    });
    expect(largestDifference).toBeLessThan(close);
  });
}

const matMuls = [
  [
    [3, 2],
    [2, 4],
  ],
  [
    [2, 3, 2],
    [2, 2, 4],
  ],
  [
    [2, 3, 2],
    [2, 4],
  ],
  [
    [3, 2],
    [2, 2, 4],
  ],
  [
    [2, 1, 3, 2],
    [3, 2, 2],
  ],
  [[2], [2]],
  [[2], [2, 3]],
  [[3, 2], [2]],
  [[2], [2, 2, 3]],
  [[2, 3, 2], [2]],
];
for (const dims of matMuls) {
  for (const opset of [11, 17]) {
    test(`MatMul of [${dims[0]}] and [${dims[1]}], opset ${opset}`, async () => {
      const compose = (graph: Parameters<Parameters<typeof compareGradients>[0]['compose']>[0], inputs: string[]) =>
        graph.add('MatMul', inputs);
      expect((await compareGradients({ compose, dims, opset })).largestDifference).toBeLessThan(close);
    });
  }
}
