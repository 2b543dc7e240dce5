import { addFloats } from './opset-forms.js';
import type { RuleContext } from './rule.js';
import { extentOf, groupOf, type SlidingAxis, transposedAttributes } from './windows.js';

// Dimension letters: C channels of the input, M channels of the output, G groups, T taps of a kernel.

/**
 * What a Conv node passes back to its input: each output is scattered over its window. ConvTranspose does that; by groups it
 * takes several times as long as the Conv of a spread gradient with the weights turned round.
 */
export function addScattered(context: RuleContext, gradient: string, axes: readonly SlidingAxis[]): string {
  const { node, graph, wanted, dims, type, values } = context;
  const weights = node.input[1]!;
  const fixed = wanted[1] || type(weights) !== 'float32' ? undefined : values(weights);
  const group = groupOf(context);
  const isDense = axes.every(({ stride }) => stride === 1);
  const margins = [
    ...axes.map((axis) => extentOf(axis) - 1 - axis.begin),
    ...axes.map((axis) => extentOf(axis) - axis.stride - axis.end),
  ];
  if (fixed && (isDense || group > 1) && margins.every((margin) => margin >= 0)) {
    const [M, channels, ...kernel] = dims(weights) as [number, number, ...number[]];
    const reversed = reverseWeights(fixed, [M, channels, ...kernel], group);
    const constant = graph.constant(reversed, [channels * group, M / group, ...kernel]);
    const spread = isDense ? gradient : addSpread(context, gradient, axes);
    const dilations = axes.map(({ dilation }) => dilation);
    return graph.add('Conv', [spread, constant], { kernel_shape: kernel, dilations, pads: margins, group });
  }
  return graph.add('ConvTranspose', [gradient, weights], { ...transposedAttributes(axes), group });
}

/** Values (N, M, ...output) a stride apart, zeros between and after them: (N, M, ...output * stride). */
function addSpread(context: RuleContext, tensor: string, axes: readonly SlidingAxis[]): string {
  const { node, graph } = context;
  const scales = graph.constant(Float32Array.from([1, 1, ...axes.map(({ stride }) => stride)]), [axes.length + 2]);
  const repeated = graph.add('Resize', [tensor, graph.constant(new Float32Array(0), [0]), scales], {
    mode: 'nearest',
    coordinate_transformation_mode: 'asymmetric',
    nearest_mode: 'floor',
  });
  let kept = [1];
  for (const { output, stride } of axes) {
    const along = Array.from({ length: output * stride }, (_, place) => (place % stride === 0 ? 1 : 0));
    kept = kept.flatMap((each) => along.map((here) => each * here));
  }
  const sizes = axes.map(({ output, stride }) => output * stride);
  return graph.add('Mul', [repeated, addFloats(context, Float32Array.from(kept), sizes, node.input[0]!)]);
}

/** Weights (M, C / G, ...kernel) with channels swapped within each group and taps in reverse: (C, M / G, ...kernel). */
function reverseWeights(weights: ArrayLike<number>, dims: readonly [number, number, ...number[]], G: number) {
  const [M, channels, ...kernel] = dims;
  const T = kernel.reduce((product, size) => product * size, 1);
  const perGroup = M / G;
  const reversed = new Float32Array(weights.length);
  for (let m = 0; m < M; m++) {
    const group = Math.floor(m / perGroup);
    for (let c = 0; c < channels; c++) {
      const from = (m * channels + c) * T;
      const to = ((group * channels + c) * perGroup + (m % perGroup)) * T;
      for (let tap = 0; tap < T; tap++) reversed[to + T - 1 - tap] = weights[from + tap]!;
    }
  }
  return reversed;
}
