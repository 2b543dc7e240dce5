import { featureNamesKey } from '../../shared/onnx/feature-names.js';
import type { GraphBuilder } from '../../shared/onnx/graph-builder.js';
import { type TrainingTable, taskOf } from './training-table.js';

/** Of every model of a table: one input (N, D), one output (N, 1) or (N, K). */
export const inputName = 'X';
export const outputNames = { regression: 'prediction', classification: 'probabilities' } as const;

/** Writes into the model what its columns and its target are called, so that tables are matched with it by name. */
export function describeModel(
  graph: GraphBuilder,
  { columns, target }: Pick<TrainingTable, 'columns' | 'target'>,
): void {
  graph.describe(featureNamesKey, JSON.stringify(columns));
  graph.describe('patchline.target', target.name);
  graph.describe('patchline.task', taskOf(target));
  if (target.classes) graph.describe('patchline.classes', JSON.stringify(target.classes));
}
