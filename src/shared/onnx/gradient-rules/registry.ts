import type { NodeProto } from '../model.js';
import { arithmeticRules } from './arithmetic.js';
import { averagePoolingRules } from './average-pooling.js';
import { convolutionRules } from './convolution.js';
import { maxPoolingRules } from './max-pooling.js';
import type { GradientRule, GradientRules } from './rule.js';
import { shapeRules } from './shapes.js';

const rules: GradientRules = {
  ...arithmeticRules,
  ...averagePoolingRules,
  ...convolutionRules,
  ...maxPoolingRules,
  ...shapeRules,
};

/** The rule of a node's operator; undefined where there is none. */
export function ruleOf({ opType, domain }: NodeProto): GradientRule | undefined {
  return !domain || domain === 'ai.onnx' ? rules[opType] : undefined;
}
