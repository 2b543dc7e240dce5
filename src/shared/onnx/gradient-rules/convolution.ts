import { addReduction } from './opset-forms.js';
import { type GradientRules, intAttribute, type RuleContext } from './rule.js';
import { extentOf, type SlidingAxis, slidingAttributes, slidingAxes, transposedAttributes } from './windows.js';

// Dimension letters: N batch, C channels of the input, M channels of the output, G groups, T taps of a kernel.

/** Convolutions: dims are (N, C, ...spatial) and (N, M, ...spatial), of one to three spatial axes. */
export const convolutionRules: GradientRules = {
  Conv: (context) => {
    const { node, outputGradients, wanted, dims } = context;
    const [input, weights] = node.input as [string, string];
    const gradient = outputGradients[0]!;
    const axes = slidingAxes(context, dims(weights).slice(2), dims(input), dims(node.output[0]!));
    return [
      wanted[0] ? addTransposed(context, gradient, axes) : undefined,
      undefined,
      wanted[2] ? addChannelSums(context, gradient, axes.length) : undefined,
    ];
  },
};

/** The sums by channel: (M). */
function addChannelSums(context: RuleContext, gradient: string, spatialAxes: number): string {
  const axes = [0, ...Array.from({ length: spatialAxes }, (_, index) => index + 2)];
  return addReduction(context, 'ReduceSum', gradient, axes, 0);
}

/**
 * What a Conv node passes back to its input. Windows that advance by one are convolved with the weights turned round, which
 * costs as much as the node itself, where a ConvTranspose by groups costs several times as much.
 */
function addTransposed(context: RuleContext, gradient: string, axes: readonly SlidingAxis[]): string {
  const { node, graph, wanted, dims, type, values } = context;
  const weights = node.input[1]!;
  const fixed = wanted[1] || type(weights) !== 'float32' ? undefined : values(weights);
  const isReversible = axes.every((axis) => axis.stride === 1 && Math.max(axis.begin, axis.end) < extentOf(axis));
  const group = intAttribute(context, 'group') ?? 1;
  if (fixed && isReversible) {
    const [M, channels, ...kernel] = dims(weights) as [number, number, ...number[]];
    const reversed = reverseWeights(fixed, [M, channels, ...kernel], group);
    const constant = graph.constant(reversed, [channels * group, M / group, ...kernel]);
    const margins = axes.map((axis) => extentOf(axis) - 1);
    const pads = [
      ...axes.map(({ begin }, index) => margins[index]! - begin),
      ...axes.map(({ end }, index) => margins[index]! - end),
    ];
    return graph.add('Conv', [gradient, constant], { ...slidingAttributes(axes), pads, group });
  }
  return graph.add('ConvTranspose', [gradient, weights], { ...transposedAttributes(axes), group });
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
