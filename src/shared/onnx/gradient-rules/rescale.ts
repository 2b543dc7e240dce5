import { formulasOf } from './formulas.js';
import { addSlice } from './opset-forms.js';
import { type RuleContext, unsupported } from './rule.js';

// DeepLIFT (arXiv:1704.02685): the first half of axis 0 holds samples, the second half their references, and a node passes on
// what turns Δinput into Δoutput exactly, so that Σ multiplier · Δx over all inputs x is the Δ of the output (completeness).
// What is computed for one half from both is the same for both. A graph may move axis 0 elsewhere and back (as attention does)
// where nothing in between works on pairs; who asks for multipliers checks that they add up.

/** Below this |Δinput| the multiplier is the derivative, as in the package shap. */
const smallestDelta = 1e-6;

/**
 * The other one of each pair: the reference for a sample, the sample for its reference. Under other rules, the tensor itself.
 *
 * @param tensor with samples and references along axis 0
 */
export function otherOf(context: RuleContext, tensor: string, dims = context.dims(tensor)): string {
  const { graph, rules } = context;
  if (rules !== 'deeplift-rescale') return tensor;
  const batch = dims[0] ?? 1;
  if (batch % 2 !== 0) unsupported(context, 'samples and references along axis 0', `dims [${dims}]`);
  const samples = addSlice(context, tensor, 0, 0, batch / 2);
  const references = addSlice(context, tensor, 0, batch / 2, batch);
  return graph.add('Concat', [references, samples], { axis: 0 });
}

/**
 * The mean of a tensor over each pair of sample and reference; under other rules, the tensor itself. A product keeps
 * completeness with it: Δ(ab) = Δa · mean(b) + Δb · mean(a).
 */
export function pairMeanOf(context: RuleContext, tensor: string, dims = context.dims(tensor)): string {
  if (context.rules !== 'deeplift-rescale') return tensor;
  const { mul, add } = formulasOf(context);
  return mul(add(tensor, otherOf(context, tensor, dims)), 0.5);
}

/** An input as the factor of another one: its pair mean where both vary. */
export function factorOf(context: RuleContext, index: number): string {
  const { node, wanted } = context;
  return wanted[0] && wanted[1] ? pairMeanOf(context, node.input[index]!) : node.input[index]!;
}

/**
 * The multiplier of an element-wise function: Δoutput / Δinput between sample and reference, or the derivative where Δinput is
 * tiny (the rescale rule, Eq. 7). Under other rules, the derivative.
 *
 * @param dims of input and output
 */
export function multiplierOf(
  context: RuleContext,
  derivative: string,
  input: string,
  output: string,
  dims = context.dims(input),
): string {
  if (context.rules !== 'deeplift-rescale') return derivative;
  const { sub, div, abs, less, where } = formulasOf(context);
  const deltaInput = sub(input, otherOf(context, input, dims));
  const deltaOutput = sub(output, otherOf(context, output, dims));
  return where(less(abs(deltaInput), smallestDelta), derivative, div(deltaOutput, deltaInput));
}
