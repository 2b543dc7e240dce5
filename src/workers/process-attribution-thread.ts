import { type AttributionMethod, attribute } from '../explain/shap/attribute.js';
import { openTabularModel, type TabularModel } from '../explain/shap/tabular-model.js';
import { inThread } from '../shared/compute.js';
import { readModel } from '../shared/onnx/model.js';
import type { SharedModel } from '../shared/onnx/session-cache.js';

export interface TableInput {
  model: SharedModel;
  /** D */
  columns: number;
  output: string;
  method: AttributionMethod;
  /** (D) */
  row: Float64Array;
  /** (m, D) */
  background: Float64Array;
  explainOutput?: 'margin' | 'probability';
}

/** The model of the last image: most lines have one. */
let last: { key: string; model: TabularModel } | undefined;

export default inThread(async ({ model, columns, output, method, row, background, explainOutput }: TableInput) => {
  const key = `${model.id} ${output}`;
  if (last?.key !== key) last = { key, model: openTabularModel(readModel(model.bytes.slice()), [columns], output) };
  return await attribute(last.model, method, { rows: row, background, scale: explainOutput });
});
