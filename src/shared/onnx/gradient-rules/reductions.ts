import { axesOf } from './axes.js';
import { type Formulas, formulasOf } from './formulas.js';
import { addExpand, addReduction, addReshape } from './opset-forms.js';
import { multiplierOf, otherOf, pairMeanOf } from './rescale.js';
import { type GradientRule, type GradientRules, intAttribute, type RuleContext, unsupported } from './rule.js';
import { logSumExpShares } from './softmax.js';

/** A reduction whose result and gradient keep the reduced axes, of size 1, so that they broadcast over the input. */
interface Reduction extends Formulas {
  x: string;
  y: string;
  g: string;
  axes: readonly number[];
  /** The dims of the input, reduced axes of size 1. */
  kept: readonly number[];
}

/** Gradient by the input, of any shape that broadcasts to it. */
type ReductionGradient = (reduction: Reduction, context: RuleContext) => string;

function reduction(gradient: ReductionGradient, broadcasts = false): GradientRule {
  return (context) => {
    const { node, outputGradients, dims } = context;
    const [x, y] = [node.input[0]!, node.output[0]!];
    const axes = reducedAxes(context);
    if (axes.length === 0 && dims(x).length > 0) return [outputGradients[0]];
    const kept = dims(x).map((size, axis) => (axes.includes(axis) ? 1 : size));
    const shaped = (tensor: string) => (dims(y).length === kept.length ? tensor : addReshape(context, tensor, kept));
    const parts = { x, y: shaped(y), g: shaped(outputGradients[0]!), axes, kept };
    const result = gradient({ ...formulasOf(context), ...parts }, context);
    return [broadcasts ? addExpand(context, result, dims(x)) : result];
  };
}

function reducedAxes(context: RuleContext): number[] {
  const dims = context.dims(context.node.input[0]!);
  const axes = axesOf(context, dims.length);
  if (axes?.length) return axes;
  if (intAttribute(context, 'noop_with_empty_axes') !== 1) return dims.map((_, axis) => axis);
  const isIdentity = ['ReduceMax', 'ReduceMean', 'ReduceMin', 'ReduceSum'].includes(context.node.opType);
  return isIdentity ? [] : unsupported(context, 'axes', 'none and noop_with_empty_axes');
}

/** Reductions. Where values tie for ReduceMax or ReduceMin, they share the gradient evenly (as PyTorch's amax). */
export const reductionRules: GradientRules = {
  ReduceL1: reduction(({ x, g, mul, sign, abs }, context) => mul(g, multiplierOf(context, sign(x), x, abs(x)))),
  ReduceL2: reduction(({ x, y, g, kept, mul, div, equal, where }, context) => {
    const norm = pairMeanOf(context, y, kept);
    return mul(where(equal(norm, 0), 0, div(g, norm)), pairMeanOf(context, x)); // 0 for a vector of zeros
  }),
  ReduceLogSum: reduction(({ y, g, kept, mul, exp, reciprocal }, context) => {
    const sum = exp(y);
    return mul(g, multiplierOf(context, reciprocal(sum), sum, y, kept));
  }, true),
  ReduceLogSumExp: reduction(({ x, y, g, axes, mul, sub, exp }, context) =>
    mul(g, context.rules === 'deeplift-rescale' ? logSumExpShares(context, axes) : exp(sub(x, y))),
  ),
  ReduceMax: reduction(extremeGradient('max')),
  ReduceMean: reduction(({ g, axes, div }, context) => {
    const dims = context.dims(context.node.input[0]!);
    return div(
      g,
      axes.reduce((count, axis) => count * dims[axis]!, 1),
    );
  }, true),
  ReduceMin: reduction(extremeGradient('min')),
  ReduceSum: reduction(({ g }) => g, true),
  ReduceSumSquare: reduction(({ x, g, mul }, context) => mul(mul(g, 2), pairMeanOf(context, x))),
};

/**
 * Under `deeplift-rescale` by the cross-maximum rule of the package shap: with m the larger of the extremes y and y' of sample and
 * reference, m - y' is passed to where the sample has its extreme and y - m to where the reference has it.
 */
function extremeGradient(op: 'max' | 'min'): ReductionGradient {
  return ({ x, y, g, axes, kept, ...formulas }, context) => {
    const { mul, div, equal, where, sub, less, abs } = formulas;
    const isExtreme = where(equal(x, y), 1, 0);
    const shares = div(isExtreme, addReduction(context, 'ReduceSum', isExtreme, axes, 1));
    if (context.rules !== 'deeplift-rescale') return mul(g, shares);
    const other = otherOf(context, y, kept);
    const passed = mul(mul(g, sub(formulas[op](y, other), other)), shares);
    const delta = sub(x, otherOf(context, x));
    const net = sub(passed, otherOf(context, passed, context.dims(x)));
    return where(less(abs(delta), 1e-7), 0, div(net, delta));
  };
}
