import { elementTypes } from '../model.js';
import { axisOf } from './axes.js';
import { addExpand, addPad, addReshape } from './opset-forms.js';
import { type GradientRules, intAttribute, type RuleContext, textAttribute, unsupported } from './rule.js';
import { addScatter, addScatterAlong } from './scatter.js';

/** Operators that read or write by index. Of indices that ScatterElements or ScatterND write to, none may stand twice. */
export const gatherRules: GradientRules = {
  Gather: (context) => {
    const { node, graph, outputGradients, dims, type, values } = context;
    const [data, indices] = node.input as [string, string];
    const from = dims(data);
    const axis = axisOf(intAttribute(context, 'axis') ?? 0, from.length);
    const size = from[axis]!;
    const count = dims(indices).reduce((product, each) => product * each, 1);
    const copies = from.with(axis, count);
    const g = addReshape(context, outputGradients[0]!, copies);
    const first = firstOfRun(values(indices), size);
    if (first !== undefined) {
      const along = (zeros: number) => from.map((_, each) => (each === axis ? zeros : 0));
      return [addPad(context, g, along(first), along(size - first - count))];
    }
    const long = type(indices) === 'int64' ? indices : graph.add('Cast', [indices], { to: elementTypes.int64 });
    const fromStart = graph.add('Mod', [long, graph.integers(size)]); // an index may count from the end
    return [addScatterAlong(context, g, copies, axis, fromStart, size)];
  },
  GatherElements: (context) => {
    const { node, outputGradients, dims } = context;
    const [data, indices] = node.input as [string, string];
    const axis = axisOf(intAttribute(context, 'axis') ?? 0, dims(data).length);
    return [addScatter(context, 'ScatterElements', outputGradients[0]!, indices, dims(data), axis)];
  },
  GatherND: (context) => {
    const { node, outputGradients, dims } = context;
    const [data, indices] = node.input as [string, string];
    const batchDims = intAttribute(context, 'batch_dims') ?? 0;
    if (batchDims !== 0) unsupported(context, 'batch_dims 0', `${batchDims}`);
    return [addScatter(context, 'ScatterND', outputGradients[0]!, indices, dims(data))];
  },
  ScatterElements: (context) => {
    const axis = intAttribute(context, 'axis') ?? 0;
    return scatterGradients(context, 'ScatterElements', 'GatherElements', { axis });
  },
  ScatterND: (context) => scatterGradients(context, 'ScatterND', 'GatherND', {}),
};

/** The first of indices that follow one another, undefined where they do not. */
function firstOfRun(indices: ArrayLike<number> | undefined, size: number): number | undefined {
  if (!indices?.length) return undefined;
  const fromStart = Array.from(indices, (index) => axisOf(index, size));
  return fromStart.every((index, place) => index === fromStart[0]! + place) ? fromStart[0] : undefined;
}

/** Data keeps its gradient where it was not overwritten; updates have the gradient of where they were written. */
function scatterGradients(
  context: RuleContext,
  scatter: 'ScatterElements' | 'ScatterND',
  gather: 'GatherElements' | 'GatherND',
  attributes: Record<string, number>,
): (string | undefined)[] {
  const { node, graph, outputGradients, wanted, dims, scalar } = context;
  const reduction = textAttribute(context, 'reduction') ?? 'none';
  if (reduction !== 'none' && reduction !== 'add') unsupported(context, 'reduction none or add', reduction);
  const indices = node.input[1]!;
  const g = outputGradients[0]!;
  const zeros = () => addExpand(context, scalar(0, node.output[0]!), dims(node.input[2]!));
  const kept = () => (reduction === 'add' ? g : graph.add(scatter, [g, indices, zeros()], attributes));
  return [
    wanted[0] ? kept() : undefined,
    undefined,
    wanted[2] ? graph.add(gather, [g, indices], attributes) : undefined,
  ];
}
