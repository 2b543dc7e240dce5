import { addReshape } from './opset-forms.js';
import type { RuleContext } from './rule.js';

/** A matrix (L, K), or the same transposed (K, L): adds the one that is asked for. */
export type AxisMatrix = (isTransposed: boolean) => string;

/**
 * Multiplies every line of a tensor along one axis by a matrix (L, K), so that the axis has size L instead of K.
 *
 * @param dims of the tensor
 */
export function addAxisProduct(
  context: RuleContext,
  tensor: string,
  dims: readonly number[],
  axis: number,
  matrix: AxisMatrix,
  L: number,
): string {
  const { graph } = context;
  if (axis === dims.length - 1) return graph.add('MatMul', [tensor, matrix(true)]);
  const product = (sizes: readonly number[]) => sizes.reduce((all, size) => all * size, 1);
  const columns = addReshape(context, tensor, [
    product(dims.slice(0, axis)),
    dims[axis]!,
    product(dims.slice(axis + 1)),
  ]);
  return addReshape(context, graph.add('MatMul', [matrix(false), columns]), dims.with(axis, L));
}
