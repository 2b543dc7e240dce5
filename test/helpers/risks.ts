import type { Risk } from '../../src/shared/contracts.js';

/** A part that its largest patch distance gives away; base value and effects add up to the probability. */
export const highRisk: Risk = {
  probability: 0.9312,
  baseValue: 0.0614,
  agreesWithVerdict: true,
  features: [
    { name: 'mean_patch_distance', value: 2.2, usual: 1.13, shap: 0.2312 },
    { name: 'max_patch_distance', value: 5.12, usual: 1.93, shap: 0.49 },
    { name: 'depth_variance', value: 0.0123, usual: 0.0082, shap: 0.1886 },
    { name: 'edge_density', value: 0.0213, usual: 0.0211, shap: 0 },
    { name: 'texture_regularity', value: 0.934, usual: 0.91, shap: -0.04 },
  ],
};
