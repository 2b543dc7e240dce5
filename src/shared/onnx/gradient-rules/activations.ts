import { broadcastGradients } from './broadcasting.js';
import { type Formulas, formulasOf } from './formulas.js';
import { multiplierOf } from './rescale.js';
import {
  floatAttribute,
  type GradientRule,
  type GradientRules,
  type RuleContext,
  textAttribute,
  unsupported,
} from './rule.js';
import { addStep } from './steps.js';

/** The derivative of y = f(x), from x or y, whichever is cheaper. */
type Derivative = (formulas: Formulas, x: string, y: string, context: RuleContext) => string;

/** The rule of an element-wise function of one input. */
function elementwise(derivative: Derivative): GradientRule {
  return (context) => {
    const { node, graph, outputGradients } = context;
    const [x, y] = [node.input[0]!, node.output[0]!];
    const slope = derivative(formulasOf(context), x, y, context);
    return [graph.add('Mul', [outputGradients[0]!, multiplierOf(context, slope, x, y)])];
  };
}

/**
 * The rule of a function that lets its input through or holds it. Under `guided` it passes on only what is positive (guided
 * backpropagation, Springenberg et al., arXiv:1412.6806): Relu and Clip do so, every other operator keeps its derivative.
 *
 * @param gatesOf factors of 1 where it is open and 0 elsewhere and at the kinks, from the output, so that onnxruntime may still
 * join the node with the one before
 */
function gate(gatesOf: (context: RuleContext, y: string) => string[]): GradientRule {
  return (context) => {
    const { node, outputGradients, rules } = context;
    const { mul, relu } = formulasOf(context);
    const [x, y] = [node.input[0]!, node.output[0]!];
    const g = outputGradients[0]!;
    const gates = gatesOf(context, y);
    if (gates.length === 0) return [g];
    const product = (factors: readonly string[]) => factors.reduce((all, factor) => mul(all, factor));
    if (rules === 'deeplift-rescale') return [mul(g, multiplierOf(context, product(gates), x, y))];
    return [product([rules === 'guided' ? relu(g) : g, ...gates])];
  };
}

/** Strictly between the bounds, which are attributes before opset 11 and may be missing. */
function gatesOfBounds(context: RuleContext, y: string): string[] {
  const { node, wanted } = context;
  if (wanted[1] || wanted[2]) unsupported(context, 'fixed bounds', 'bounds to differentiate by');
  const lower = floatAttribute(context, 'min') ?? (node.input[1] || undefined);
  const upper = floatAttribute(context, 'max') ?? (node.input[2] || undefined);
  return [
    ...(lower === undefined ? [] : [addStep(context, y, 1, lower)]),
    ...(upper === undefined ? [] : [addStep(context, y, -1, upper)]),
  ];
}

/** Activation functions. */
export const activationRules: GradientRules = {
  Celu: elementwise(({ where, greater, add, div }, x, y, context) =>
    where(greater(x, 0), 1, add(div(y, floatAttribute(context, 'alpha') ?? 1), 1)),
  ),
  Clip: gate(gatesOfBounds),
  Elu: elementwise(({ where, greater, add }, x, y, context) =>
    where(greater(x, 0), 1, add(y, floatAttribute(context, 'alpha') ?? 1)),
  ),
  Gelu: elementwise((formulas, x, _, context) => {
    const approximate = textAttribute(context, 'approximate') ?? 'none';
    return approximate === 'tanh' ? tanhGeluDerivative(formulas, x) : geluDerivative(formulas, x);
  }),
  HardSigmoid: elementwise(({ where, and, greater, less }, _, y, context) =>
    where(and(greater(y, 0), less(y, 1)), floatAttribute(context, 'alpha') ?? 0.2, 0),
  ),
  HardSwish: elementwise(({ where, greater, less, add, div }, x) =>
    where(less(x, -3), 0, where(greater(x, 3), 1, add(div(x, 3), 0.5))),
  ),
  LeakyRelu: elementwise(({ where, greater }, x, y, context) => {
    const alpha = floatAttribute(context, 'alpha') ?? 0.01;
    return where(greater(alpha < 0 ? x : y, 0), 1, alpha);
  }),
  Mish: elementwise(({ tanh, softplus, sigmoid, mul, sub, add }, x) => {
    const t = tanh(softplus(x));
    return add(t, mul(mul(x, sigmoid(x)), sub(1, mul(t, t))));
  }),
  PRelu: (context) => {
    const { mul, where, greater, min } = formulasOf(context);
    const [x, slope] = context.node.input as [string, string];
    if (context.rules === 'deeplift-rescale' && context.wanted[1])
      unsupported(context, 'a fixed slope', 'one that varies');
    return broadcastGradients(context, [
      (g) => mul(g, multiplierOf(context, where(greater(x, 0), 1, slope), x, context.node.output[0]!)),
      (g) => mul(g, min(x, 0)),
    ]);
  },
  Relu: gate((context, y) => [addStep(context, y, 1, 0)]),
  Selu: elementwise(({ where, greater, add }, x, y, context) => {
    const alpha = floatAttribute(context, 'alpha') ?? 1.6732632423543772;
    const gamma = floatAttribute(context, 'gamma') ?? 1.0507009873554805;
    return where(greater(x, 0), gamma, add(y, alpha * gamma));
  }),
  Sigmoid: elementwise(({ mul, sub }, _, y) => mul(y, sub(1, y))),
  Softplus: elementwise(({ sigmoid }, x) => sigmoid(x)),
  Softsign: elementwise(({ sub, abs, mul }, _, y) => {
    const root = sub(1, abs(y)); // 1 / (1 + |x|)
    return mul(root, root);
  }),
  Tanh: elementwise(({ sub, mul }, _, y) => sub(1, mul(y, y))),
  ThresholdedRelu: elementwise(({ where, greater }, x, _, context) =>
    where(greater(x, floatAttribute(context, 'alpha') ?? 1), 1, 0),
  ),
};

/** Operators that onnxruntime adds under its own domain. */
export const microsoftActivationRules: GradientRules = {
  FastGelu: elementwise((formulas, x, _, context) => {
    if (context.node.input[1]) unsupported(context, 'no bias', 'one');
    return tanhGeluDerivative(formulas, x);
  }),
  Gelu: elementwise(geluDerivative),
  QuickGelu: elementwise(({ sigmoid, mul, sub, add }, x, y, context) => {
    const alpha = floatAttribute(context, 'alpha') ?? 1.702;
    const s = sigmoid(mul(x, alpha));
    return add(s, mul(mul(y, alpha), sub(1, s)));
  }),
};

/** Of x Φ(x): Φ(x) + x φ(x). */
function geluDerivative({ mul, add, erf, exp }: Formulas, x: string): string {
  const cumulative = mul(add(erf(mul(x, Math.SQRT1_2)), 1), 0.5);
  const density = mul(exp(mul(mul(x, x), -0.5)), 1 / Math.sqrt(2 * Math.PI));
  return add(cumulative, mul(x, density));
}

/** Of x (1 + tanh u) / 2 with u = √(2/π) (x + c x³). */
function tanhGeluDerivative({ mul, add, sub, tanh }: Formulas, x: string): string {
  const [c, scale] = [0.044715, Math.sqrt(2 / Math.PI)];
  const square = mul(x, x);
  const t = tanh(mul(mul(x, scale), add(mul(square, c), 1)));
  const inner = mul(mul(x, scale), add(mul(square, 3 * c), 1)); // x du/dx
  return mul(add(add(t, 1), mul(sub(1, mul(t, t)), inner)), 0.5);
}

/** Functions of one variable. */
export const functionRules: GradientRules = {
  Abs: elementwise(({ sign }, x) => sign(x)),
  Cos: elementwise(({ neg, sin }, x) => neg(sin(x))),
  Erf: elementwise(({ mul, exp, neg }, x) => mul(exp(neg(mul(x, x))), 2 / Math.sqrt(Math.PI))),
  Exp: elementwise((_, __, y) => y),
  Log: elementwise(({ reciprocal }, x) => reciprocal(x)),
  Reciprocal: elementwise(({ neg, mul }, _, y) => neg(mul(y, y))),
  Sin: elementwise(({ cos }, x) => cos(x)),
  Sqrt: elementwise(({ div }, _, y) => div(0.5, y)),
};
