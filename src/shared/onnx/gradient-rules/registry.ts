import type { NodeProto } from '../model.js';
import { activationRules, functionRules, microsoftActivationRules } from './activations.js';
import { arithmeticRules } from './arithmetic.js';
import { averagePoolingRules } from './average-pooling.js';
import { convolutionRules } from './convolution.js';
import { featureOperatorRules } from './feature-operators.js';
import { gatherRules } from './gathers.js';
import { maxPoolingRules } from './max-pooling.js';
import { normalizationRules } from './normalization.js';
import { productRules } from './products.js';
import { reductionRules } from './reductions.js';
import { resizeRules } from './resize.js';
import type { GradientRule, GradientRules } from './rule.js';
import { shapeRules } from './shapes.js';
import { sliceRules } from './slices.js';
import { softmaxRules } from './softmax.js';
import { spaceAndDepthRules } from './space-and-depth.js';

const rules: GradientRules = {
  ...activationRules,
  ...arithmeticRules,
  ...averagePoolingRules,
  ...convolutionRules,
  ...functionRules,
  ...gatherRules,
  ...maxPoolingRules,
  ...normalizationRules,
  ...productRules,
  ...reductionRules,
  ...resizeRules,
  ...shapeRules,
  ...sliceRules,
  ...softmaxRules,
  ...spaceAndDepthRules,
};

/** Of operators that are not ONNX's own, by domain. */
const rulesOfOthers: Readonly<Record<string, GradientRules>> = {
  'ai.onnx.ml': featureOperatorRules,
  'com.microsoft': microsoftActivationRules,
};

/** The rule of a node's operator; undefined where there is none. */
export function ruleOf({ opType, domain }: NodeProto): GradientRule | undefined {
  return (!domain || domain === 'ai.onnx' ? rules : rulesOfOthers[domain])?.[opType];
}
