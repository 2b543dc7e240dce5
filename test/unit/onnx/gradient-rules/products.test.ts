import { testGradients } from '../../../helpers/gradient-cases.js';

const gemms = [
  { transA: 0, transB: 0, alpha: 1, beta: 1, c: [4] },
  { transA: 1, transB: 0, alpha: 0.5, beta: 2, c: [3, 4] },
  { transA: 0, transB: 1, alpha: -1.5, beta: 0.25, c: [3, 1] },
  { transA: 1, transB: 1, alpha: 2, beta: 1, c: [1] },
  { transA: 0, transB: 1, alpha: 1, beta: 1, c: undefined },
];
for (const { transA, transB, alpha, beta, c } of gemms) {
  testGradients(`Gemm, transA ${transA}, transB ${transB}, alpha ${alpha}, beta ${beta}, C [${c}]`, {
    compose: (graph, inputs) =>
      graph.add('Gemm', inputs, { transA, transB, alpha: { float: alpha }, beta: { float: beta } }),
    dims: [transA ? [2, 3] : [3, 2], transB ? [4, 2] : [2, 4], ...(c ? [c] : [])],
    opsets: [11, 21],
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
  testGradients(`MatMul of [${dims[0]}] and [${dims[1]}]`, {
    compose: (graph, inputs) => graph.add('MatMul', inputs),
    dims,
    opsets: [11, 17],
  });
}

const equations = [
  {
    equation: 'ab,bc->ac',
    dims: [
      [2, 3],
      [3, 2],
    ],
  },
  {
    equation: 'bij, bkj -> bik',
    dims: [
      [2, 2, 3],
      [2, 2, 3],
    ],
  },
  {
    equation: 'ab,cd->ac',
    dims: [
      [2, 3],
      [2, 2],
    ],
  },
  { equation: 'ab,b', dims: [[2, 3], [3]] },
  {
    equation: 'ab,bc,cd->da',
    dims: [
      [2, 2],
      [2, 3],
      [3, 2],
    ],
  },
  { equation: 'abc->cb', dims: [[2, 3, 2]] },
];
for (const { equation, dims } of equations) {
  testGradients(`Einsum ${equation}`, {
    compose: (graph, inputs) => graph.add('Einsum', inputs, { equation }),
    dims,
    opsets: [12, 21],
  });
}
