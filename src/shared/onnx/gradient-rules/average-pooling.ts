import { addExpand, addFloats, addReshape } from './opset-forms.js';
import { type GradientRules, intAttribute, intsAttribute, type RuleContext } from './rule.js';
import { extentOf, type SlidingAxis, slidingAxes, transposedAttributes } from './windows.js';

/** Averages over windows or over all places; dims are (N, C, ...spatial). */
export const averagePoolingRules: GradientRules = {
  AveragePool: (context) => {
    const { node, graph, outputGradients, dims } = context;
    const input = dims(node.input[0]!);
    const kernel = intsAttribute(context, 'kernel_shape')!;
    const axes = slidingAxes(context, kernel, input, dims(node.output[0]!));
    const outputs = axes.map(({ output }) => output);
    const like = node.input[0]!;
    const shares = graph.add('Mul', [outputGradients[0]!, addFloats(context, sharesOf(context, axes), outputs, like)]);
    // Channels go as images of their own, because a ConvTranspose by groups takes longer.
    const planes = addReshape(context, shares, [-1, 1, ...outputs]);
    const ones = addFloats(context, new Float32Array(product(kernel)).fill(1), [1, 1, ...kernel], like);
    const spread = graph.add('ConvTranspose', [planes, ones], transposedAttributes(axes));
    return [addReshape(context, spread, input)];
  },
  GlobalAveragePool: (context) => {
    const { node, graph, outputGradients, dims, scalar } = context;
    const input = dims(node.input[0]!);
    const share = scalar(1 / product(input.slice(2)), node.input[0]!);
    const shares = graph.add('Mul', [outputGradients[0]!, share]);
    return [addExpand(context, shares, input)];
  },
};

/** What each place of the output takes of an input of its window: one by the count of inputs, of the spatial dims of the output. */
function sharesOf(context: RuleContext, axes: readonly SlidingAxis[]): Float32Array {
  const countPadding = intAttribute(context, 'count_include_pad') === 1;
  const pads = intsAttribute(context, 'pads');
  const counts = axes.map((axis, index) => {
    const from = countPadding ? -axis.begin : 0;
    const to = axis.input + (countPadding ? (pads?.[axes.length + index] ?? Math.max(axis.end, 0)) : 0);
    return countsAlong(axis, from, to);
  });
  let shares = [1];
  for (const along of counts) shares = shares.flatMap((share) => along.map((count) => share / count));
  return Float32Array.from(shares);
}

/** By window, how many of its taps lie in [from, to). */
function countsAlong(axis: SlidingAxis, from: number, to: number): number[] {
  return Array.from({ length: axis.output }, (_, place) => {
    const first = place * axis.stride - axis.begin;
    let count = 0;
    for (let at = first; at < first + extentOf(axis); at += axis.dilation) if (at >= from && at < to) count++;
    return count;
  });
}

const product = (sizes: readonly number[]): number => sizes.reduce((all, size) => all * size, 1);
