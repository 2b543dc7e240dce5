import { addReduction } from './opset-forms.js';
import { type GradientRules, intsAttribute, type RuleContext, textAttribute } from './rule.js';
import { addScattered } from './scattered-convolution.js';
import { addWeightGradient } from './weight-gradient.js';
import {
  extentOf,
  groupOf,
  padded,
  padsOf,
  type SlidingAxis,
  slidingAttributes,
  slidingAxes,
  unpaddedAxes,
} from './windows.js';

// Dimension letters: N batch, C channels of the input, M channels of the output, G groups.

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

/** What a ConvTranspose node passes back to its input. */
function addGathered(context: RuleContext, gradient: string, axes: readonly SlidingAxis[]): string {
  const { node, graph } = context;
  return graph.add('Conv', [gradient, node.input[1]!], {
    ...slidingAttributes(axes),
    pads: padsOf(axes),
    group: groupOf(context),
  });
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
