import { formulasOf } from './formulas.js';
import { addExpand, addReshape } from './opset-forms.js';
import { type RuleContext, unsupported } from './rule.js';

// The gradient by a tensor of which copies were taken is the sum of the gradients of the copies, entry by entry.

const product = (sizes: readonly number[]) => sizes.reduce((count, each) => count * each, 1);

/**
 * Sums for copies of whole entries along one axis: a product with a matrix of ones and zeros, which every version of the
 * operator set has.
 *
 * @param dims of `gradient`: K copies along `axis`
 * @param indices int64, K of them: the entry that each is a copy of
 * @param size number of entries
 */
export function addScatterAlong(
  context: RuleContext,
  gradient: string,
  dims: readonly number[],
  axis: number,
  indices: string,
  size: number,
): string {
  const { graph } = context;
  const { equal, where } = formulasOf(context);
  const K = dims[axis]!;
  const [outer, inner] = [product(dims.slice(0, axis)), product(dims.slice(axis + 1))];
  const entries = BigInt64Array.from({ length: size }, (_, entry) => BigInt(entry));
  const isCopy = (entriesDims: number[], indicesDims: number[]) =>
    where(equal(graph.constant(entries, entriesDims), addReshape(context, indices, indicesDims)), 1, 0);
  const sums =
    inner === 1 // one product of matrices instead of many by vectors
      ? graph.add('MatMul', [addReshape(context, gradient, [outer, K]), isCopy([1, size], [K, 1])])
      : graph.add('MatMul', [isCopy([size, 1], [1, K]), addReshape(context, gradient, [outer, K, inner])]);
  return addReshape(context, sums, dims.with(axis, size));
}

/**
 * Sums for copies of single values (ScatterElements) or of blocks (ScatterND).
 *
 * @param dims of the result
 * @throws OP_NOT_SUPPORTED before opset 16, which cannot sum, unless the indices are known and none stands twice
 */
export function addScatter(
  context: RuleContext,
  op: 'ScatterElements' | 'ScatterND',
  updates: string,
  indices: string,
  dims: readonly number[],
  axis = 0,
): string {
  const { graph, opset, scalar, node } = context;
  const zeros = addExpand(context, scalar(0, node.output[0]!), dims);
  const attributes: Record<string, number> = op === 'ScatterElements' ? { axis } : {};
  if (opset >= 16) return graph.add(op, [zeros, indices, updates], { ...attributes, reduction: 'add' });
  const places = placesOf(context, op, indices, dims, axis);
  if (!places || new Set(places).size < places.length) {
    unsupported(context, 'fixed indices of which none stands twice before opset 16', 'others');
  }
  return graph.add(op, [zeros, indices, updates], attributes);
}

/** By index, where it points to in a tensor of `dims`; undefined where indices are computed. */
function placesOf(
  { values, dims: dimsOf }: RuleContext,
  op: 'ScatterElements' | 'ScatterND',
  indices: string,
  dims: readonly number[],
  axis: number,
): string[] | undefined {
  const known = values(indices);
  if (!known) return undefined;
  const shape = dimsOf(indices);
  const wrap = (index: number, size: number) => (index < 0 ? index + size : index);
  if (op === 'ScatterND') {
    const depth = shape.at(-1)!;
    return Array.from({ length: known.length / depth }, (_, row) =>
      Array.from({ length: depth }, (_, column) => wrap(known[row * depth + column]!, dims[column]!)).join(),
    );
  }
  const inner = product(shape.slice(axis + 1));
  const line = shape[axis]! * inner;
  return Array.from(known, (index, place) =>
    [Math.floor(place / line), wrap(index, dims[axis]!), place % inner].join(),
  );
}
