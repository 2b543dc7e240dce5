import { addFloats, addReshape } from './opset-forms.js';
import type { RuleContext } from './rule.js';
import { extentOf, groupOf, type SlidingAxis, transposedAttributes } from './windows.js';

// Dimension letters: C channels of the input, M channels of the output, G groups, T taps of a kernel.

/**
 * What a Conv node passes back to its input: each output is scattered over its window. ConvTranspose does that; by groups it
 * takes several times as long as a Conv by the weights turned round, for which the gradient is spread first.
 */
export function addScattered(context: RuleContext, gradient: string, axes: readonly SlidingAxis[]): string {
  const { node, graph, wanted, dims, type, values } = context;
  const weights = node.input[1]!;
  const fixed = wanted[1] || type(weights) !== 'float32' ? undefined : values(weights);
  const group = groupOf(context);
  const isDense = axes.every(({ stride }) => stride === 1);
  const margins = (['begin', 'end'] as const).flatMap((side) => axes.map((axis) => extentOf(axis) - 1 - axis[side]));
  if (!fixed || !(isDense || group > 1) || margins.some((margin) => margin < 0)) {
    return graph.add('ConvTranspose', [gradient, weights], { ...transposedAttributes(axes), group });
  }
  const [M, channels, ...kernel] = dims(weights) as [number, number, ...number[]];
  const reversed = reverseWeights(fixed, [M, channels, ...kernel], group);
  const constant = graph.constant(reversed, [channels * group, M / group, ...kernel]);
  const spread = isDense ? gradient : addSpread(context, gradient, axes);
  const dilations = axes.map(({ dilation }) => dilation);
  return graph.add('Conv', [spread, constant], { kernel_shape: kernel, dilations, pads: margins, group });
}

/** Values (N, M, ...output) a stride apart, with zeros between them: what a ConvTranspose by the number 1 makes of each channel. */
function addSpread(context: RuleContext, tensor: string, axes: readonly SlidingAxis[]): string {
  const { node, graph, dims } = context;
  const [N, M] = dims(node.output[0]!) as [number, number];
  const one = addFloats(context, Float32Array.of(1), [1, 1, ...axes.map(() => 1)], node.input[0]!);
  const planes = addReshape(context, tensor, [N * M, 1, ...axes.map(({ output }) => output)]);
  const strides = axes.map(({ stride }) => stride);
  const spread = graph.add('ConvTranspose', [planes, one], { strides });
  return addReshape(context, spread, [N, M, ...axes.map(({ output, stride }) => (output - 1) * stride + 1)]);
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
