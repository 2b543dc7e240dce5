import { formulasOf } from './formulas.js';
import { addExpand, addReshape } from './opset-forms.js';
import { otherOf } from './rescale.js';
import { type GradientRules, intAttribute, intsAttribute, type RuleContext } from './rule.js';
import { extentOf, padsOf, type SlidingAxis, slidingAttributes, slidingAxes } from './windows.js';

/** Maxima of windows or of all places; dims are (N, C, ...spatial). Of equal values the first of the window has the gradient. */
export const maxPoolingRules: GradientRules = {
  GlobalMaxPool: (context) => {
    const { node, dims } = context;
    return poolGradient(context, dims(node.input[0]!).slice(2));
  },
  MaxPool: (context) => poolGradient(context, intsAttribute(context, 'kernel_shape')!),
};

function poolGradient(context: RuleContext, kernel: readonly number[]): (string | undefined)[] {
  const { node, rules, graph, outputGradients, dims } = context;
  const [input, output] = [node.input[0]!, node.output[0]!];
  const axes = slidingAxes(context, kernel, dims(input), dims(output));
  const pads = intsAttribute(context, 'pads') ?? padsOf(axes);
  const ceil_mode = intAttribute(context, 'ceil_mode') ?? 0;
  const places = graph.addMulti('MaxPool', [input], { ...slidingAttributes(axes), pads, ceil_mode }, 2)[1]!;
  const unpool = (values: string) => addUnpool(context, values, places, axes);
  if (rules === 'deeplift-rescale') return [addCrossMaximum(context, unpool)];
  return [unpool(outputGradients[0]!)];
}

/**
 * Puts values (N, C, ...output) to their places in zeros (N, C, ...input), where those that meet add up. Operator sets before
 * 16, and onnxruntime for float16, only replace: there windows that do not overlap go together, so that none meet, and the parts are added.
 */
function addUnpool(context: RuleContext, values: string, places: string, axes: readonly SlidingAxis[]): string {
  const { node, graph, opset, dims, type, scalar } = context;
  const input = dims(node.input[0]!);
  const size = input.reduce((all, each) => all * each, 1);
  const steps = axes.map((axis) => Math.min(Math.ceil(extentOf(axis) / axis.stride), axis.output));
  const overlaps = steps.some((step) => step > 1);
  const zeros = addExpand(context, scalar(0, node.input[0]!), [size]);
  const scatter = (indices: string, updates: string, attributes: { reduction?: string }) => {
    const flat = [indices, updates].map((tensor) => addReshape(context, tensor, [-1]));
    return graph.add('ScatterElements', [zeros, ...flat], { axis: 0, ...attributes });
  };
  const canAdd = opset >= 16 && type(node.input[0]!) !== 'float16';
  if (canAdd || !overlaps) {
    return addReshape(context, scatter(places, values, overlaps ? { reduction: 'add' } : {}), input);
  }
  const parts = gridOf(steps).map((starts) => {
    const [indices, updates] = [places, values].map((tensor) => addEvery(context, tensor, starts, steps));
    return scatter(indices!, updates!, {});
  });
  return addReshape(context, graph.add('Sum', parts), input);
}

/** Every so many places of each spatial axis, from `starts`. */
function addEvery({ graph }: RuleContext, tensor: string, starts: readonly number[], steps: readonly number[]): string {
  const ends = starts.map(() => Number.MAX_SAFE_INTEGER);
  const axes = starts.map((_, index) => index + 2);
  return graph.add('Slice', [tensor, ...[starts, ends, axes, steps].map((list) => graph.integers(...list))]);
}

/** All places of a grid of these sizes. */
function gridOf(sizes: readonly number[]): number[][] {
  return sizes.reduce<number[][]>(
    (places, size) => places.flatMap((place) => Array.from({ length: size }, (_, index) => [...place, index])),
    [[]],
  );
}

/**
 * DeepLIFT through a maximum, so that contributions add up: with m = max(y, y') of sample and reference, g (m - y') goes to the
 * sample's largest input and g (m - y) to the reference's, and their difference is divided by x - x'; 0 where |x - x'| < 1e-7.
 * (The rule of the package shap.)
 */
function addCrossMaximum(context: RuleContext, unpool: (values: string) => string): string {
  const { node, outputGradients, dims } = context;
  const [x, y] = [node.input[0]!, node.output[0]!];
  const { abs, div, less, max, mul, sub, where } = formulasOf(context);
  const otherY = otherOf(context, y);
  const placed = unpool(mul(outputGradients[0]!, sub(max(y, otherY), otherY)));
  const delta = sub(x, otherOf(context, x));
  return where(less(abs(delta), 1e-7), 0, div(sub(placed, otherOf(context, placed, dims(x))), delta));
}
