import { axisOf } from './axes.js';
import { formulasOf } from './formulas.js';
import { addReduction } from './opset-forms.js';
import { multiplierOf, pairMeanOf } from './rescale.js';
import { type GradientRules, intAttribute, type RuleContext } from './rule.js';

/**
 * Under `deeplift-rescale` Softmax is exp after LogSoftmax, and LogSoftmax the difference of its input and log Σ exp, each of
 * which passes on what it changes by, so that completeness holds.
 */
export const softmaxRules: GradientRules = {
  LogSoftmax: (context) => {
    const shares = context.rules === 'deeplift-rescale' ? undefined : formulasOf(context).exp(context.node.output[0]!);
    return [logSoftmaxGradient(context, context.outputGradients[0]!, shares)];
  },
  Softmax: (context) => {
    const { node, graph, outputGradients, rules, opset } = context;
    const { mul } = formulasOf(context);
    const [x, y] = [node.input[0]!, node.output[0]!];
    const g = outputGradients[0]!;
    if (rules !== 'deeplift-rescale') return [logSoftmaxGradient(context, mul(g, y), y)];
    const logarithm = graph.add('LogSoftmax', [x], { axis: intAttribute(context, 'axis') ?? (opset >= 13 ? -1 : 1) });
    return [logSoftmaxGradient(context, mul(g, multiplierOf(context, y, logarithm, y, context.dims(x))))];
  },
};

/** @param shares of the changes of the input in that of log Σ exp */
function logSoftmaxGradient(
  context: RuleContext,
  gradient: string,
  shares = logSumExpShares(context, softmaxAxes(context)),
) {
  const { mul, sub } = formulasOf(context);
  return sub(gradient, mul(shares, addReduction(context, 'ReduceSum', gradient, softmaxAxes(context), 1)));
}

/** Before opset 13 all axes from the given one on were taken as one. */
function softmaxAxes(context: RuleContext): number[] {
  const rank = context.dims(context.node.input[0]!).length;
  const axis = axisOf(intAttribute(context, 'axis') ?? (context.opset >= 13 ? -1 : 1), rank);
  return context.opset >= 13 ? [axis] : Array.from({ length: rank - axis }, (_, index) => axis + index);
}

/**
 * What makes Δ log Σ exp x of Δx under `deeplift-rescale`: exp, sum and logarithm in turn. What is taken from x before exp lies
 * between the maxima of sample and reference, so that neither overflows nor vanishes.
 */
export function logSumExpShares(context: RuleContext, axes: readonly number[]): string {
  const { sub, mul, exp, log, reciprocal } = formulasOf(context);
  const x = context.node.input[0]!;
  const kept = context.dims(x).map((size, axis) => (axes.includes(axis) ? 1 : size));
  const center = pairMeanOf(context, addReduction(context, 'ReduceMax', x, axes, 1), kept);
  const exponentials = exp(sub(x, center));
  const sum = addReduction(context, 'ReduceSum', exponentials, axes, 1);
  const bySum = multiplierOf(context, reciprocal(sum), sum, log(sum), kept);
  return mul(multiplierOf(context, exponentials, x, exponentials), bySum);
}
