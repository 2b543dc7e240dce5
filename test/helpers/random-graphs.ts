import { createRandom, type Random } from '../../src/shared/kernels/random.js';
import type { GraphBuilder } from '../../src/shared/onnx/graph-builder.js';

// Random small graphs in opset 17, of steps from a tensor (B, C, D) to another one.
const [C, D] = [3, 4];
export const randomGraphDims = (batch: number): number[] => [batch, C, D];

type Step = (graph: GraphBuilder, x: string, other: string, random: Random) => string;

function constant(graph: GraphBuilder, random: Random, dims: number[]): string {
  const count = dims.reduce((product, size) => product * size, 1);
  return graph.constant(
    Float32Array.from({ length: count }, () => random.uniform() * 1.4 - 0.7),
    dims,
  );
}

const apply =
  (op: string): Step =>
  (graph, x) =>
    graph.add(op, [x]);
/** At least 0.5. */
const positive = (graph: GraphBuilder, x: string) => graph.add('Add', [graph.add('Softplus', [x]), graph.scalar(0.5)]);
/** x less what a reduction along one axis makes of it. */
const centered =
  (op: string): Step =>
  (graph, x, _, random) =>
    graph.add('Sub', [x, graph.add(op, [x], { axes: [1 + random.integer(2)] })]);

const smoothSteps: Record<string, Step> = {
  add: (graph, x, other) => graph.add('Add', [x, other]),
  addConstant: (graph, x, _, random) => graph.add('Add', [x, constant(graph, random, [D])]),
  attention: (graph, x, other) => {
    const scores = graph.add('MatMul', [x, graph.add('Transpose', [other], { perm: [0, 2, 1] })]);
    return graph.add('MatMul', [graph.add('Softmax', [scores]), x]);
  },
  concat: (graph, x, other) => {
    const [left, right] = graph.addMulti('Split', [x], { axis: 2 }, 2) as [string, string];
    const [, last] = graph.addMulti('Split', [other, graph.integers(1, 2)], { axis: 1 }, 2) as [string, string];
    const first = graph.add('Concat', [right, left], { axis: 2 });
    return graph.add('Slice', [
      graph.add('Concat', [first, last], { axis: 1 }),
      graph.integers(2),
      graph.integers(5),
      graph.integers(1),
    ]);
  },
  cumSum: (graph, x) => graph.add('CumSum', [x, graph.constant(BigInt64Array.of(2n), [])]),
  div: (graph, x, other) => graph.add('Div', [x, positive(graph, other)]),
  einsum: (graph, x, other) => graph.add('Einsum', [x, other, x], { equation: 'bij,bkj,bkl->bil' }),
  elu: apply('Elu'),
  erf: apply('Erf'),
  exp: (graph, x) => graph.add('Exp', [graph.add('Tanh', [x])]),
  expand: (graph, x) => {
    const row = graph.add('ReduceMean', [x], { axes: [1], keepdims: 1 });
    return graph.add('Mul', [graph.add('Expand', [row, graph.integers(1, C, 1)]), x]);
  },
  gather: (graph, x) => graph.add('Gather', [x, graph.integers(2, 0, 2)], { axis: 1 }),
  gemm: (graph, x, _, random) => {
    const rows = graph.add('Reshape', [x, graph.integers(-1, D)]);
    const product = graph.add('Gemm', [rows, constant(graph, random, [D, D]), constant(graph, random, [D])], {
      transB: 1,
    });
    return graph.add('Reshape', [product, graph.integers(-1, C, D)]);
  },
  length: (graph, x) => graph.add('Div', [x, graph.add('ReduceL2', [positive(graph, x)], { axes: [2] })]),
  log: (graph, x) => graph.add('Log', [positive(graph, x)]),
  logSoftmax: (graph, x, _, random) => graph.add('LogSoftmax', [x], { axis: 1 + random.integer(2) }),
  logSumExp: centered('ReduceLogSumExp'),
  matMul: (graph, x, _, random) => graph.add('MatMul', [x, constant(graph, random, [D, D])]),
  mean: centered('ReduceMean'),
  mul: (graph, x, other) => graph.add('Mul', [x, other]),
  mulByConstant: (graph, x, _, random) => graph.add('Mul', [constant(graph, random, [C, 1]), x]),
  pad: (graph, x) => {
    const padded = graph.add('Pad', [x, graph.integers(0, 1, 0, 0, 0, 2)], { mode: 'reflect' });
    return graph.add('Slice', [
      padded,
      graph.integers(-1, 4),
      graph.integers(-4, -6),
      graph.integers(1, 2),
      graph.integers(-1, -1),
    ]);
  },
  pow: (graph, x) => graph.add('Pow', [positive(graph, x), graph.scalar(1.5)]),
  reciprocal: (graph, x) => graph.add('Reciprocal', [positive(graph, x)]),
  sigmoid: apply('Sigmoid'),
  silu: (graph, x) => graph.add('Mul', [x, graph.add('Sigmoid', [x])]),
  sin: apply('Sin'),
  softmax: (graph, x, _, random) => graph.add('Softmax', [x], { axis: 1 + random.integer(2) }),
  softplus: apply('Softplus'),
  softsign: apply('Softsign'),
  sqrt: (graph, x) => graph.add('Sqrt', [positive(graph, x)]),
  square: (graph, x) => graph.add('Pow', [graph.add('Tanh', [x]), graph.scalar(2)]),
  squares: (graph, x) => graph.add('Div', [x, graph.add('ReduceSumSquare', [positive(graph, x)], { axes: [1] })]),
  squeeze: (graph, x) => {
    const sums = graph.add('ReduceSum', [x, graph.integers(2)], { keepdims: 0 });
    return graph.add('Mul', [graph.add('Unsqueeze', [sums, graph.integers(-1)]), x]);
  },
  sub: (graph, x, other) => graph.add('Sub', [x, other]),
  tanh: apply('Tanh'),
  tile: (graph, x) => {
    const tiled = graph.add('Tile', [x, graph.integers(1, 1, 2)]);
    return graph.add('Slice', [tiled, graph.integers(1), graph.integers(8), graph.integers(2), graph.integers(2)]);
  },
  where: (graph, x, other) => {
    const isFirst = graph.add('Greater', [graph.constant(Float32Array.of(1, -1, 1, -1), [D]), graph.scalar(0)]);
    return graph.add('Where', [isFirst, x, other]);
  },
};

const stepsWithKinks: Record<string, Step> = {
  abs: apply('Abs'),
  clip: (graph, x) => graph.add('Clip', [x, graph.scalar(-0.4), graph.scalar(0.6)]),
  hardSwish: apply('HardSwish'),
  leakyRelu: apply('LeakyRelu'),
  max: (graph, x, other) => graph.add('Max', [x, other]),
  maxOfConstant: (graph, x, _, random) => graph.add('Max', [x, constant(graph, random, [C, 1])]),
  min: (graph, x, other) => graph.add('Min', [x, other]),
  pRelu: (graph, x, _, random) => graph.add('PRelu', [x, constant(graph, random, [C, 1])]),
  reduceMax: centered('ReduceMax'),
  reduceMin: centered('ReduceMin'),
  relu: apply('Relu'),
};

/** @returns the steps taken, for messages, and the function that composes the graph from its input (B, C, D) */
export function randomGraph(
  seed: number,
  {
    length = 7,
    hasKinks = false,
    without = [],
  }: { length?: number; hasKinks?: boolean; without?: readonly string[] } = {},
): { names: string[]; compose: (graph: GraphBuilder, inputs: string[]) => string } {
  const random = createRandom(seed);
  const all = { ...smoothSteps, ...(hasKinks && stepsWithKinks) };
  const choice = Object.keys(all).filter((name) => !without.includes(name));
  const names = Array.from({ length }, () => choice[random.integer(choice.length)]!);
  const compose = (graph: GraphBuilder, inputs: string[]) => {
    const seeded = createRandom(seed + 1);
    const made = [...inputs];
    for (const name of names) {
      const other = made[seeded.integer(made.length)]!;
      made.push(all[name]!(graph, made.at(-1)!, other, seeded));
    }
    return made.at(-1)!;
  };
  return { names, compose };
}
