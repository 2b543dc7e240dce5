import { intAttribute, intsAttribute, type RuleContext, textAttribute } from './rule.js';

/**
 * How a window slides along one spatial axis: output o reads the inputs o * stride + tap * dilation - begin, for each tap of the
 * kernel, where there are such inputs.
 */
export interface SlidingAxis {
  input: number;
  output: number;
  kernel: number;
  stride: number;
  dilation: number;
  /** What is added before the first input. */
  begin: number;
  /** What is added after the last input so that the last window just fits; negative where the last inputs are never read. */
  end: number;
}

/** From the first to the last input of a window. */
export const extentOf = ({ kernel, dilation }: SlidingAxis): number => (kernel - 1) * dilation + 1;

/** The sliding of a Conv or a pooling node, by spatial axis, from its attributes and the dims (N, C, ...spatial) of its tensors. */
export function slidingAxes(
  context: RuleContext,
  kernel: readonly number[],
  input: readonly number[],
  output: readonly number[],
): SlidingAxis[] {
  const autoPad = textAttribute(context, 'auto_pad') ?? 'NOTSET';
  const pads = intsAttribute(context, 'pads');
  return unpaddedAxes(context, kernel, input, output).map((axis, index) => {
    if (autoPad === 'NOTSET') return padded(axis, pads?.[index] ?? 0);
    const missing = Math.max((axis.output - 1) * axis.stride + extentOf(axis) - axis.input, 0);
    const begin = { SAME_UPPER: Math.floor(missing / 2), SAME_LOWER: Math.ceil(missing / 2), VALID: 0 };
    return padded(axis, begin[autoPad as keyof typeof begin]);
  });
}

/** Sets the pads, of which the one at the end follows from the sizes, whatever rounding led to them. */
export function padded(axis: SlidingAxis, begin: number): SlidingAxis {
  return { ...axis, begin, end: (axis.output - 1) * axis.stride + extentOf(axis) - axis.input - begin };
}

/** Sizes, strides and dilations. */
export function unpaddedAxes(
  context: RuleContext,
  kernel: readonly number[],
  input: readonly number[],
  output: readonly number[],
): SlidingAxis[] {
  const strides = intsAttribute(context, 'strides');
  const dilations = intsAttribute(context, 'dilations');
  return kernel.map((size, axis) => ({
    input: input[axis + 2]!,
    output: output[axis + 2]!,
    kernel: size,
    stride: strides?.[axis] ?? 1,
    dilation: dilations?.[axis] ?? 1,
    begin: 0,
    end: 0,
  }));
}

/** The attributes of a node that slides in this way, its pads left out. */
export const slidingAttributes = (axes: readonly SlidingAxis[]) => ({
  kernel_shape: axes.map(({ kernel }) => kernel),
  strides: axes.map(({ stride }) => stride),
  dilations: axes.map(({ dilation }) => dilation),
});

/** The pads attribute; inputs that are never read at the end are no pad. */
export const padsOf = (axes: readonly SlidingAxis[]): number[] => [
  ...axes.map(({ begin }) => begin),
  ...axes.map(({ end }) => Math.max(end, 0)),
];

/** The attributes of a ConvTranspose node that passes back what windows of this kind gathered. */
export const transposedAttributes = (axes: readonly SlidingAxis[]) => ({
  ...slidingAttributes(axes),
  pads: padsOf(axes),
  output_padding: axes.map(({ end }) => Math.max(-end, 0)),
});

/** Into how many groups a convolution divides its channels. */
export const groupOf = (context: RuleContext): number => intAttribute(context, 'group') ?? 1;
