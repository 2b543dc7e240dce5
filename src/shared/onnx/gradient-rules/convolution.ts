import { addReduction, addReshape } from './opset-forms.js';
import { type GradientRules, intAttribute, intsAttribute, type RuleContext, textAttribute } from './rule.js';
import {
  extentOf,
  padded,
  padsOf,
  type SlidingAxis,
  slidingAttributes,
  slidingAxes,
  transposedAttributes,
  unpaddedAxes,
} from './windows.js';

// Dimension letters: N batch, C channels of the input, M channels of the output, G groups, T taps of a kernel.

/** Convolutions: dims are (N, C, ...spatial) and (N, M, ...spatial), of one to three spatial axes. */
export const convolutionRules: GradientRules = {
  Conv: (context) => {
    const { node, outputGradients, wanted, dims } = context;
    const [input, weights] = node.input as [string, string];
    const gradient = outputGradients[0]!;
    const axes = slidingAxes(context, dims(weights).slice(2), dims(input), dims(node.output[0]!));
    return [
      wanted[0] ? addScattered(context, gradient, axes) : undefined,
      wanted[1] ? addWeightGradient(context, input, gradient, axes) : undefined,
      wanted[2] ? addChannelSums(context, gradient, axes.length) : undefined,
    ];
  },
  /** The roles of input and output are those of a Conv exchanged: its weights are (C, M / G, ...kernel). */
  ConvTranspose: (context) => {
    const { node, outputGradients, wanted, dims } = context;
    const [input, weights] = node.input as [string, string];
    const gradient = outputGradients[0]!;
    const axes = transposedAxes(context, dims(weights).slice(2), dims(input), dims(node.output[0]!));
    return [
      wanted[0] ? addGathered(context, gradient, axes) : undefined,
      wanted[1] ? addWeightGradient(context, gradient, input, axes) : undefined,
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
function addScattered(context: RuleContext, gradient: string, axes: readonly SlidingAxis[]): string {
  const { node, graph, wanted, dims, type, values } = context;
  const weights = node.input[1]!;
  const fixed = wanted[1] || type(weights) !== 'float32' ? undefined : values(weights);
  const isReversible = axes.every((axis) => axis.stride === 1 && Math.max(axis.begin, axis.end) < extentOf(axis));
  const group = groupOf(context);
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

/** What a ConvTranspose node passes back to its input. */
function addGathered(context: RuleContext, gradient: string, axes: readonly SlidingAxis[]): string {
  const { node, graph } = context;
  return graph.add('Conv', [gradient, node.input[1]!], {
    ...slidingAttributes(axes),
    pads: padsOf(axes),
    group: groupOf(context),
  });
}

/**
 * The gradient (R, S / G, ...kernel) by weights that lead from `wide` (N, S, ...input) to `narrow` (N, R, ...output): `wide` is
 * convolved with `narrow`, where batch and channels change their parts, and so do strides and dilations.
 */
function addWeightGradient(context: RuleContext, wide: string, narrow: string, axes: readonly SlidingAxis[]): string {
  const { node, graph, dims } = context;
  const G = groupOf(context);
  const N = dims(node.input[0]!)[0]!;
  const perGroup = dims(node.input[1]!)[1]!;
  const spatial = axes.map((_, index) => index + 2);
  const unread = axes.map(({ end }) => Math.max(-end, 0));
  const read = addWithoutEnds(context, wide, unread);
  const sizes = axes.map(({ input }, index) => input - unread[index]!);
  const grouped = addReshape(context, read, [N, G, perGroup, ...sizes]);
  const exchanged = graph.add('Transpose', [grouped], { perm: [2, 1, 0, ...spatial.map((axis) => axis + 1)] });
  const images = addReshape(context, exchanged, [perGroup, G * N, ...sizes]);
  const swap = { perm: [1, 0, ...spatial] };
  const gradient = graph.add('Conv', [images, graph.add('Transpose', [narrow], swap)], {
    strides: axes.map(({ dilation }) => dilation),
    dilations: axes.map(({ stride }) => stride),
    pads: padsOf(axes),
    group: G,
  });
  return graph.add('Transpose', [gradient], swap);
}

/** A tensor (N, C, ...spatial) without so many of the last places of each spatial axis. */
function addWithoutEnds({ graph }: RuleContext, tensor: string, counts: readonly number[]): string {
  const cut = counts.flatMap((count, axis) => (count > 0 ? [{ axis: axis + 2, end: -count }] : []));
  if (cut.length === 0) return tensor;
  const [starts, ends, axes] = [cut.map(() => 0), cut.map(({ end }) => end), cut.map(({ axis }) => axis)];
  return graph.add('Slice', [tensor, ...[starts, ends, axes].map((list) => graph.integers(...list))]);
}

/** How a ConvTranspose node scatters, as the Conv whose transposed it is: from its output to its input. */
function transposedAxes(
  context: RuleContext,
  kernel: readonly number[],
  input: readonly number[],
  output: readonly number[],
): SlidingAxis[] {
  const autoPad = textAttribute(context, 'auto_pad') ?? 'NOTSET';
  const outputPadding = intsAttribute(context, 'output_padding');
  const isSized = intsAttribute(context, 'output_shape') !== undefined || autoPad.startsWith('SAME');
  return unpaddedAxes(context, kernel, output, input).map((axis, index) => {
    if (!isSized) return padded(axis, intsAttribute(context, 'pads')?.[index] ?? 0);
    const full = (axis.output - 1) * axis.stride + extentOf(axis) + (outputPadding?.[index] ?? 0);
    const cut = Math.max(full - axis.input, 0);
    return padded(axis, autoPad === 'SAME_UPPER' ? Math.floor(cut / 2) : Math.ceil(cut / 2));
  });
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

const groupOf = (context: RuleContext): number => intAttribute(context, 'group') ?? 1;
