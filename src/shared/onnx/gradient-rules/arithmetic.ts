import { elementTypes } from '../model.js';
import { broadcastGradients } from './broadcasting.js';
import { formulasOf } from './formulas.js';
import { factorOf, multiplierOf, otherOf, pairMeanOf } from './rescale.js';
import { type GradientRule, type GradientRules, type RuleContext, unsupported } from './rule.js';

/** Arithmetic of two and more inputs, which broadcast. Where inputs of Max or Min tie, they share the gradient evenly (as PyTorch). */
export const arithmeticRules: GradientRules = {
  Add: toAll((_, g) => g),
  Div: (context) => {
    const { div, mul, neg } = formulasOf(context);
    const b = context.node.input[1]!;
    const isPaired = context.rules === 'deeplift-rescale' && context.wanted[1];
    return broadcastGradients(context, [
      (g) => (isPaired ? mul(div(g, b), div(pairMeanOf(context, b), otherOf(context, b))) : div(g, b)), // mean(1/b)
      (g) => neg(mul(div(g, b), div(factorOf(context, 0), otherOf(context, b)))),
    ]);
  },
  Max: (context) => extremeGradients(context, ([a, b]) => formulasOf(context).sub(a, b)),
  Mean: toAll((context, g) => formulasOf(context).div(g, context.node.input.length)),
  Min: (context) => extremeGradients(context, ([a, b]) => formulasOf(context).sub(b, a)),
  Mul: (context) => {
    const { mul } = formulasOf(context);
    return broadcastGradients(context, [(g) => mul(g, factorOf(context, 1)), (g) => mul(g, factorOf(context, 0))]);
  },
  Neg: ({ graph, outputGradients }) => [graph.add('Neg', [outputGradients[0]!])],
  Pow: powerGradients,
  Sub: (context) => broadcastGradients(context, [(g) => g, (g) => context.graph.add('Neg', [g])]),
  Sum: toAll((_, g) => g),
};

/** The same gradient for every input. */
function toAll(make: (context: RuleContext, gradient: string) => string): GradientRule {
  return (context) => {
    const gradient = make(context, context.outputGradients[0]!);
    return broadcastGradients(
      context,
      Array(context.node.input.length).fill(() => gradient),
    );
  };
}

/** @param lead by which the first of two inputs is the extreme one */
function extremeGradients(context: RuleContext, lead: (inputs: [string, string]) => string): (string | undefined)[] {
  const { node, graph, wanted, rules, dims } = context;
  const { mul, div, sub, equal, where, relu } = formulasOf(context);
  const output = node.output[0]!;
  const isExtreme = node.input.map((input) => where(equal(input, output), 1, 0));
  const count = graph.add('Sum', isExtreme);
  const shares = isExtreme.map((each) => div(each, count));
  if (rules === 'deeplift-rescale') {
    const varying = wanted.flatMap((each, index) => (each ? [index] : []));
    const [first] = varying as [number];
    if (varying.length === 1) {
      shares[first] = multiplierOf(context, shares[first]!, node.input[first]!, output);
    } else if (node.input.length === 2) {
      // max(a, b) = b + relu(a - b), min(a, b) = b - relu(b - a)
      const difference = lead(node.input as [string, string]);
      shares[0] = multiplierOf(context, shares[0]!, difference, relu(difference), dims(output));
      shares[1] = sub(1, shares[0]);
    } else unsupported(context, 'at most two inputs of which several vary', `${node.input.length}`);
  }
  return broadcastGradients(
    context,
    shares.map((share) => (g) => mul(g, share)),
  );
}

/** x^p: p x^(p-1) by x, and x^p log x by p, 0 where x is. */
function powerGradients(context: RuleContext): (string | undefined)[] {
  const { node, wanted, rules, graph, type, values } = context;
  const [x, p] = node.input as [string, string];
  const y = node.output[0]!;
  if (rules === 'deeplift-rescale' && wanted[0] && wanted[1]) {
    unsupported(context, 'a fixed base or exponent', 'neither');
  }
  const { mul, pow, sub, log, equal, where } = formulasOf(context);
  const cast = (tensor: string, like: string) =>
    type(p) === type(x) ? tensor : graph.add('Cast', [tensor], { to: elementTypes[type(like)] });
  const slope = () => {
    const known = values(p);
    const exponent = known?.length === 1 ? known[0]! : cast(p, x);
    if (exponent === 0) return 0;
    if (exponent === 2) return mul(pairMeanOf(context, x), 2);
    const lower = typeof exponent === 'number' ? exponent - 1 : sub(exponent, 1);
    return multiplierOf(context, mul(pow(x, lower), exponent), x, y);
  };
  return broadcastGradients(context, [
    (g) => mul(g, slope()),
    (g) => cast(mul(g, multiplierOf(context, where(equal(x, 0), 0, mul(y, log(x))), p, y)), p),
  ]);
}
