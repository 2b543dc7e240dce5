import { intsAttribute, type RuleContext } from './rule.js';

/** Counted from the first axis. */
export const axisOf = (axis: number, rank: number): number => (axis < 0 ? axis + rank : axis);

/** The axes of a node, an attribute in some versions of its operator and the second input in others; undefined where it has none. */
export function axesOf(context: RuleContext, rank: number): number[] | undefined {
  const axes = intsAttribute(context, 'axes') ?? context.values(context.node.input[1]);
  return axes && Array.from(axes, (axis) => axisOf(axis, rank));
}
