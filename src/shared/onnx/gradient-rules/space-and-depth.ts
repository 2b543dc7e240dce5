import { addReshape } from './opset-forms.js';
import { type GradientRules, intAttribute, textAttribute } from './rule.js';

/** Operators that move blocks of places to channels and back; dims are (N, C, H, W). */
export const spaceAndDepthRules: GradientRules = {
  DepthToSpace: (context) => {
    const { node, graph, outputGradients, dims } = context;
    const blocksize = intAttribute(context, 'blocksize')!;
    const g = outputGradients[0]!;
    if ((textAttribute(context, 'mode') ?? 'DCR') === 'DCR') return [graph.add('SpaceToDepth', [g], { blocksize })];
    const [N, C, H, W] = dims(node.output[0]!) as [number, number, number, number];
    const blocks = addReshape(context, g, [N, C, H / blocksize, blocksize, W / blocksize, blocksize]);
    const moved = graph.add('Transpose', [blocks], { perm: [0, 1, 3, 5, 2, 4] });
    return [addReshape(context, moved, dims(node.input[0]!))];
  },
  SpaceToDepth: (context) => {
    const { graph, outputGradients } = context;
    return [graph.add('DepthToSpace', [outputGradients[0]!], { blocksize: intAttribute(context, 'blocksize')! })];
  },
};
