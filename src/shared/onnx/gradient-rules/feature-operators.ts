import { attributeTypes } from '../model.js';
import { formulasOf } from './formulas.js';
import { gatherRules } from './gathers.js';
import { addFloats } from './opset-forms.js';
import type { GradientRules } from './rule.js';
import { shapeRules } from './shapes.js';

/** What the domain ai.onnx.ml puts before a network of rows. */
export const featureOperatorRules: GradientRules = {
  /** Chosen places of the last axis. */
  ArrayFeatureExtractor: (context) => {
    const { node, dims } = context;
    const axis = { name: 'axis', type: attributeTypes.int, i: dims(node.input[0]!).length - 1 };
    return gatherRules.Gather!({ ...context, node: { ...node, attribute: [axis] } });
  },
  /** (x - offset) · scale, float32 whatever x is. */
  Scaler: (context) => {
    const { node, outputGradients } = context;
    const scale = node.attribute.find(({ name }) => name === 'scale')?.floats ?? [1];
    const factors = addFloats(context, Float32Array.from(scale), [scale.length], node.output[0]!);
    const gradient = formulasOf(context).mul(outputGradients[0]!, factors);
    return shapeRules.Cast!({ ...context, outputGradients: [gradient] });
  },
};
