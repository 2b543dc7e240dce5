import type { ProcessAttribution } from '../../src/shared/contracts.js';

/** A hot part; base value and effects add up to the value. */
export const shrinkage: ProcessAttribution = {
  model: { file: 'shrinkage.onnx', sha256: '0'.repeat(64) },
  predicts: 'shrinkage, mm',
  output: 'variable',
  scale: 'output',
  value: 107.5,
  baseValue: 101,
  features: [
    { name: 'cooling_s', value: 12, shap: 0 },
    { name: 'hold pressure <bar>', value: null, shap: -2.5 },
    { name: 'melt_temperature_c', value: 243.1, shap: 9 },
  ],
};
