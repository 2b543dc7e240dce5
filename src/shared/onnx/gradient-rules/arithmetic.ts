import { broadcastGradients } from './broadcasting.js';
import type { GradientRules } from './rule.js';

/** Element-wise arithmetic; operators of two inputs broadcast. */
export const arithmeticRules: GradientRules = {
  Add: (context) => broadcastGradients(context, [(g) => g, (g) => g]),
  Sub: (context) => broadcastGradients(context, [(g) => g, (g) => context.graph.add('Neg', [g])]),
  Mul: (context) => {
    const [a, b] = context.node.input as [string, string];
    const { graph } = context;
    return broadcastGradients(context, [(g) => graph.add('Mul', [g, b]), (g) => graph.add('Mul', [g, a])]);
  },
  Neg: ({ graph, outputGradients }) => [graph.add('Neg', [outputGradients[0]!])],
};
