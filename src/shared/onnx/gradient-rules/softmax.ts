import { axisOf } from './axes.js';
import { formulasOf } from './formulas.js';
import { addReduction } from './opset-forms.js';
import { multiplierOf, otherOf, pairMeanOf } from './rescale.js';
import { type GradientRules, intAttribute, type RuleContext } from './rule.js';

/**
 * Under `deeplift-rescale` both are composed of what they are made of, exp, sum and quotient or logarithm, as the package shap
 * does with Softmax in TensorFlow graphs, so that completeness holds.
 */
export const softmaxRules: GradientRules = {
  LogSoftmax: (context) => {
    const { mul, sub, exp } = formulasOf(context);
    const [axes, g, y] = [softmaxAxes(context), context.outputGradients[0]!, context.node.output[0]!];
    const shares = context.rules === 'deeplift-rescale' ? logSumExpShares(context, axes) : exp(y);
    return [sub(g, mul(addReduction(context, 'ReduceSum', g, axes, 1), shares))];
  },
  Softmax: (context) => {
    const { mul, sub } = formulasOf(context);
    const [axes, g, y] = [softmaxAxes(context), context.outputGradients[0]!, context.node.output[0]!];
    const sum = (tensor: string) => addReduction(context, 'ReduceSum', tensor, axes, 1);
    if (context.rules !== 'deeplift-rescale') return [mul(y, sub(g, sum(mul(g, y))))];
    const { exponentials, multiplier, inverse, kept, dims } = exponentialsOf(context, axes);
    const byNumerator = mul(g, pairMeanOf(context, inverse, kept));
    const byInverse = sum(mul(g, pairMeanOf(context, exponentials, dims)));
    const byDenominator = mul(byInverse, mul(inverse, otherOf(context, inverse, kept)));
    return [mul(sub(byNumerator, byDenominator), multiplier)];
  },
};

/** Before opset 13 all axes from the given one on were taken as one. */
function softmaxAxes(context: RuleContext): number[] {
  const rank = context.dims(context.node.input[0]!).length;
  const axis = axisOf(intAttribute(context, 'axis') ?? (context.opset >= 13 ? -1 : 1), rank);
  return context.opset >= 13 ? [axis] : Array.from({ length: rank - axis }, (_, index) => axis + index);
}

/** What makes Δ log Σ exp x of Δx under `deeplift-rescale`. */
export function logSumExpShares(context: RuleContext, axes: readonly number[]): string {
  const { mul, log } = formulasOf(context);
  const { multiplier, sum, inverse, kept } = exponentialsOf(context, axes);
  return mul(multiplier, multiplierOf(context, inverse, sum, log(sum), kept));
}

/** exp(x - c) of the input x and its sums along the axes, with c between the maxima of sample and reference against overflow. */
function exponentialsOf(context: RuleContext, axes: readonly number[]) {
  const { sub, exp, reciprocal } = formulasOf(context);
  const x = context.node.input[0]!;
  const dims = context.dims(x);
  const kept = dims.map((size, axis) => (axes.includes(axis) ? 1 : size));
  const center = pairMeanOf(context, addReduction(context, 'ReduceMax', x, axes, 1), kept);
  const exponentials = exp(sub(x, center));
  const sum = addReduction(context, 'ReduceSum', exponentials, axes, 1);
  const multiplier = multiplierOf(context, exponentials, x, exponentials);
  return { exponentials, multiplier, sum, inverse: reciprocal(sum), dims, kept };
}
