import { createRandom } from '../../src/shared/kernels/random.js';
import type { GraphBuilder } from '../../src/shared/onnx/graph-builder.js';

/** Constants of seeded values of -0.5 .. 0.5. */
export const weightsOf = (graph: GraphBuilder, seed: number) => {
  const random = createRandom(seed);
  return (...dims: number[]) => {
    const count = dims.reduce((product, size) => product * size, 1);
    return graph.constant(
      Float32Array.from({ length: count }, () => random.uniform() - 0.5),
      dims,
    );
  };
};

/** Tokens and their width. */
export const [T, D] = [4, 6];
const heads = 2;

export const meanOf = (graph: GraphBuilder, x: string, axes: number[], opset: number) =>
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
export function transformerBlock(graph: GraphBuilder, x: string, opset: number): string {
  const weights = weightsOf(graph, 1);
  const normed = (each: string) => layerNorm(graph, each, weights(D), weights(D), opset);
  const attended = graph.add('Add', [x, attention(graph, normed(x), weights)]);
  const hidden = graph.add('MatMul', [normed(attended), weights(D, 2 * D)]);
  const active = opset < 20 ? geluByErf(graph, hidden) : graph.add('Gelu', [hidden]);
  return graph.add('Add', [attended, graph.add('MatMul', [active, weights(2 * D, D)])]);
}

/** Squeeze and excitation of maps (N, 4, H, W), with SiLU. */
export function squeezeExcitation(graph: GraphBuilder, x: string, opset: number): string {
  const weights = weightsOf(graph, 2);
  const silu = (each: string) => graph.add('Mul', [each, graph.add('Sigmoid', [each])]);
  const maps = silu(x);
  const means = graph.add('Flatten', [meanOf(graph, maps, [2, 3], opset)]);
  const squeezed = silu(graph.add('Gemm', [means, weights(2, 4), weights(2)], { transB: 1 }));
  const excited = graph.add('Sigmoid', [graph.add('MatMul', [squeezed, weights(2, 4)])]);
  return graph.add('Mul', [maps, graph.add('Reshape', [excited, graph.integers(0, 4, 1, 1)])]);
}
