import type { GradientRules } from './rule.js';

/** Operators that move values without changing them. */
export const shapeRules: GradientRules = {
  Identity: ({ outputGradients }) => [outputGradients[0]],
};
