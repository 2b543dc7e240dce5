import { addReduction, addReshape } from './opset-forms.js';
import type { RuleContext } from './rule.js';

/**
 * The gradient by a tensor that was broadcast: summed over the axes along which it was repeated.
 *
 * @param gradient of the broadcast shape `from`
 * @param to dims of the tensor before it was broadcast
 */
export function sumToShape(
  context: RuleContext,
  gradient: string,
  from: readonly number[],
  to: readonly number[],
): string {
  const added = from.length - to.length;
  const repeated = from.flatMap((size, axis) => (axis < added || (to[axis - added] === 1 && size !== 1) ? [axis] : []));
  if (repeated.length === 0) return gradient;
  const sums = addReduction(context, 'ReduceSum', gradient, repeated, 1);
  return added > 0 ? addReshape(context, sums, to) : sums;
}

/** The gradients by the two inputs of a broadcasting operator, from those of the broadcast shape; `make` is called for wanted ones. */
export function broadcastGradients(
  context: RuleContext,
  make: readonly ((gradient: string) => string)[],
): (string | undefined)[] {
  const { node, outputGradients, wanted, dims } = context;
  const gradient = outputGradients[0]!;
  return node.input.map((name, index) =>
    wanted[index] ? sumToShape(context, make[index]!(gradient), dims(node.output[0]!), dims(name)) : undefined,
  );
}
