import type { Attribute } from '../graph-builder.js';
import { elementTypes } from '../model.js';
import type { RuleContext } from './rule.js';

// Operators whose axes moved from an attribute to an input, written as the model's version of the operator set wants them.

type Reduction = 'ReduceSum' | 'ReduceMean' | 'ReduceMax' | 'ReduceMin';

/** The version from which an operator takes its axes as an input. */
const axesAsInputSince = {
  ReduceSum: 13,
  ReduceMean: 18,
  ReduceMax: 18,
  ReduceMin: 18,
  Squeeze: 13,
  Unsqueeze: 13,
} as const;

export function addReduction(
  context: RuleContext,
  op: Reduction,
  tensor: string,
  axes: readonly number[],
  keepdims: 0 | 1,
): string {
  return addWithAxes(context, op, tensor, axes, { keepdims });
}

export function addWithAxes(
  { graph, opset }: RuleContext,
  op: keyof typeof axesAsInputSince,
  tensor: string,
  axes: readonly number[],
  attributes: Record<string, Attribute> = {},
): string {
  if (opset >= axesAsInputSince[op]) return graph.add(op, [tensor, graph.integers(...axes)], attributes);
  return graph.add(op, [tensor], { ...attributes, axes });
}

/** `tensor` with other dims, in the same order of values. */
export function addReshape({ graph }: RuleContext, tensor: string, dims: readonly number[]): string {
  return graph.add('Reshape', [tensor, graph.integers(...dims)]);
}

/** A constant of the element type of `like`. */
export function addFloats(
  { graph, type }: RuleContext,
  values: Float32Array,
  dims: readonly number[],
  like: string,
): string {
  const elementType = type(like);
  const constant = graph.constant(elementType === 'float64' ? Float64Array.from(values) : values, dims);
  return elementType === 'float16' ? graph.add('Cast', [constant], { to: elementTypes.float16 }) : constant;
}

/** Values repeated along axes of size 1. */
export function addExpand({ graph }: RuleContext, tensor: string, dims: readonly number[]): string {
  return graph.add('Expand', [tensor, graph.integers(...dims)]);
}

/** A part of a tensor along one axis, from `start` up to `end`. */
export function addSlice({ graph }: RuleContext, tensor: string, axis: number, start: number, end: number): string {
  const [from, to, along] = [start, end, axis].map((each) => graph.integers(each)) as [string, string, string];
  return graph.add('Slice', [tensor, from, to, along]);
}

/** Zeros added before and after along each axis; negative counts take values away. */
export function addPad(
  { graph }: RuleContext,
  tensor: string,
  before: readonly number[],
  after: readonly number[],
): string {
  if ([...before, ...after].every((count) => count === 0)) return tensor;
  return graph.add('Pad', [tensor, graph.integers(...before, ...after)]);
}
