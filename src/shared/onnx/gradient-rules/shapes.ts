import { elementTypes } from '../model.js';
import { axisOf } from './axes.js';
import { broadcastGradients, sumToShape } from './broadcasting.js';
import { formulasOf } from './formulas.js';
import { addExpand, addReduction, addReshape, addSlice } from './opset-forms.js';
import { type GradientRule, type GradientRules, intAttribute, intsAttribute, unsupported } from './rule.js';

/** The same values in the same order. */
const reshaped: GradientRule = (context) => [
  addReshape(context, context.outputGradients[0]!, context.dims(context.node.input[0]!)),
];

/** Operators that move, copy or choose values without changing them. */
export const shapeRules: GradientRules = {
  Cast: ({ node, graph, outputGradients, type }) => [
    graph.add('Cast', [outputGradients[0]!], { to: elementTypes[type(node.input[0]!)] }),
  ],
  Concat: (context) => {
    const { node, outputGradients, wanted, dims } = context;
    const axis = axisOf(intAttribute(context, 'axis')!, dims(node.output[0]!).length);
    let end = 0;
    return node.input.map((name, index) => {
      const start = end;
      end += dims(name)[axis]!;
      return wanted[index] ? addSlice(context, outputGradients[0]!, axis, start, end) : undefined;
    });
  },
  CumSum: ({ node, graph, outputGradients }) => {
    const [exclusive, reverse] = ['exclusive', 'reverse'].map((name) => intAttribute({ node }, name) ?? 0) as [
      number,
      number,
    ];
    return [graph.add('CumSum', [outputGradients[0]!, node.input[1]!], { exclusive, reverse: 1 - reverse })];
  },
  Dropout: (context) => {
    if (context.values(context.node.input[2])?.[0]) unsupported(context, 'training_mode 0', '1');
    return [context.outputGradients[0]];
  },
  Expand: (context) => {
    const { node, outputGradients, dims } = context;
    return [sumToShape(context, outputGradients[0]!, dims(node.output[0]!), dims(node.input[0]!))];
  },
  Flatten: reshaped,
  Identity: ({ outputGradients }) => [outputGradients[0]],
  Reshape: reshaped,
  Split: (context) => {
    const { node, graph, outputGradients, dims, scalar } = context;
    const axis = intAttribute(context, 'axis') ?? 0;
    const parts = node.output.map(
      (name, index) => outputGradients[index] ?? addExpand(context, scalar(0, name), dims(name)),
    );
    return [graph.add('Concat', parts, { axis })];
  },
  Squeeze: reshaped,
  Tile: (context) => {
    const { node, outputGradients, dims } = context;
    const [from, to] = [dims(node.input[0]!), dims(node.output[0]!)];
    const repeats = from.flatMap((size, axis) => [to[axis]! / size, size]);
    const copies = addReshape(context, outputGradients[0]!, repeats);
    return [
      addReduction(
        context,
        'ReduceSum',
        copies,
        from.map((_, axis) => 2 * axis),
        0,
      ),
    ];
  },
  Transpose: (context) => {
    const { node, graph, outputGradients, dims } = context;
    const rank = dims(node.output[0]!).length;
    const perm = intsAttribute(context, 'perm') ?? Array.from({ length: rank }, (_, axis) => rank - 1 - axis);
    const inverse = Array.from({ length: rank }, (_, axis) => perm.indexOf(axis));
    return [graph.add('Transpose', [outputGradients[0]!], { perm: inverse })];
  },
  Trilu: ({ node, graph, outputGradients }) => [
    graph.add('Trilu', [outputGradients[0]!, ...node.input.slice(1)], { upper: intAttribute({ node }, 'upper') ?? 1 }),
  ],
  Unsqueeze: reshaped,
  /** Under `deeplift-rescale`, completeness holds where sample and reference meet the same condition. */
  Where: (context) => {
    const { where } = formulasOf(context);
    const condition = context.node.input[0]!;
    return broadcastGradients(context, [(g) => g, (g) => where(condition, g, 0), (g) => where(condition, 0, g)]);
  },
};
