import { axisOf } from './axes.js';
import { addPad, addReshape } from './opset-forms.js';
import { type GradientRules, intsAttribute, type RuleContext, textAttribute, unsupported } from './rule.js';
import { addScatterAlong } from './scatter.js';

/** Operators that cut out of a tensor or add around it. */
export const sliceRules: GradientRules = {
  Pad: (context) => {
    const { node, outputGradients, wanted, dims } = context;
    if (wanted[2]) unsupported(context, 'a fixed padding value', 'one to differentiate by');
    const [x, y] = [dims(node.input[0]!), dims(node.output[0]!)];
    const before = paddingBefore(context, x.length);
    const g = outputGradients[0]!;
    const mode = textAttribute(context, 'mode') ?? 'constant';
    if (mode !== 'constant') return [addPaddedSums(context, g, before, mode)];
    const after = y.map((size, axis) => size - x[axis]! - before[axis]!);
    const removed = (count: number) => -count;
    return [addPad(context, g, before.map(removed), after.map(removed))];
  },
  Slice: (context) => {
    const { node, outputGradients, dims } = context;
    const [x, y] = [dims(node.input[0]!), dims(node.output[0]!)];
    const slices = slicesOf(context, x);
    const g = addAscending(context, outputGradients[0]!, slices);
    const lowest = slices.map(({ start, step }, axis) => (step < 0 ? start + (y[axis]! - 1) * step : start));
    const spread = addSpread(
      context,
      g,
      y,
      slices.map(({ step }) => Math.abs(step)),
    );
    const spreadEnd = (axis: number) => lowest[axis]! + y[axis]! * Math.abs(slices[axis]!.step);
    return [
      addPad(
        context,
        spread,
        lowest,
        x.map((size, axis) => size - spreadEnd(axis)),
      ),
    ];
  },
};

/** How many entries Pad adds before each axis; negative where it takes them away. */
function paddingBefore(context: RuleContext, rank: number): number[] {
  const pads = intsAttribute(context, 'pads') ?? context.values(context.node.input[1]);
  if (!pads) unsupported(context, 'fixed pads', 'computed ones');
  const axes = context.values(context.node.input[3]);
  const before = Array<number>(rank).fill(0);
  const count = pads.length / 2;
  for (let i = 0; i < count; i++) before[axes ? axisOf(axes[i]!, rank) : i] = pads[i]!;
  return before;
}

/** By mode, which entry of an axis of `size` stands at a place before, in or after it. */
const paddingSources: Record<string, (place: number, size: number) => number> = {
  edge: (place, size) => Math.min(Math.max(place, 0), size - 1),
  reflect: (place, size) => {
    const period = Math.max(2 * (size - 1), 1);
    const inPeriod = ((place % period) + period) % period;
    return Math.min(inPeriod, period - inPeriod);
  },
  wrap: (place, size) => ((place % size) + size) % size,
};

/** Padding by copies: sums of the gradients of all copies, axis by axis. */
function addPaddedSums(context: RuleContext, gradient: string, before: readonly number[], mode: string): string {
  const { node, graph, dims } = context;
  const sourceOf = paddingSources[mode] ?? unsupported(context, `mode constant, ${Object.keys(paddingSources)}`, mode);
  const x = dims(node.input[0]!);
  let from = dims(node.output[0]!);
  let sums = gradient;
  for (const [axis, size] of x.entries()) {
    if (from[axis] === size && before[axis] === 0) continue;
    const copies = Array.from({ length: from[axis]! }, (_, place) => sourceOf(place - before[axis]!, size));
    sums = addScatterAlong(context, sums, from, axis, graph.integers(...copies), size);
    from = from.with(axis, size);
  }
  return sums;
}

interface AxisSlice {
  start: number;
  step: number;
}

/** By axis of the input. */
function slicesOf(context: RuleContext, dims: readonly number[]): AxisSlice[] {
  const { node, values } = context;
  const starts = intsAttribute(context, 'starts') ?? values(node.input[1]);
  const axes = intsAttribute(context, 'axes') ?? values(node.input[3]);
  const steps = values(node.input[4]);
  const isFixed = starts && (axes || !node.input[3]) && (steps || !node.input[4]);
  if (!isFixed) unsupported(context, 'fixed starts, axes and steps', 'computed ones');
  const slices = dims.map(() => ({ start: 0, step: 1 }));
  for (let i = 0; i < starts.length; i++) {
    const axis = axisOf(axes?.[i] ?? i, dims.length);
    const size = dims[axis]!;
    const step = steps?.[i] ?? 1;
    const start = axisOf(starts[i]!, size);
    slices[axis] = { start: Math.min(Math.max(start, 0), step < 0 ? size - 1 : size), step };
  }
  return slices;
}

/** What was taken backwards, forwards. */
function addAscending({ graph }: RuleContext, gradient: string, slices: readonly AxisSlice[]): string {
  const axes = slices.flatMap(({ step }, axis) => (step < 0 ? [axis] : []));
  if (axes.length === 0) return gradient;
  const each = (value: number) => graph.integers(...axes.map(() => value));
  return graph.add('Slice', [gradient, each(-1), each(Number.MIN_SAFE_INTEGER), graph.integers(...axes), each(-1)]);
}

/** Values with zeros between them: along each axis every `strides`th one, the last followed by zeros as well. */
function addSpread(
  context: RuleContext,
  gradient: string,
  dims: readonly number[],
  strides: readonly number[],
): string {
  if (strides.every((stride) => stride === 1)) return gradient;
  const split = addReshape(
    context,
    gradient,
    dims.flatMap((size) => [size, 1]),
  );
  const zeros = strides.flatMap((stride) => [0, stride - 1]);
  const padded = addPad(
    context,
    split,
    zeros.map(() => 0),
    zeros,
  );
  return addReshape(
    context,
    padded,
    dims.map((size, axis) => size * strides[axis]!),
  );
}
