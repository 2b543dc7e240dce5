import { featureNamesKey } from '../../shared/onnx/feature-names.js';
import type { GraphBuilder } from '../../shared/onnx/graph-builder.js';
import { type TrainingTable, taskOf } from './training-table.js';

/** Of every model of a table: one input (N, D). */
export const inputName = 'X';

/**
 * Declares the only output, `prediction` (N, 1) or `probabilities` (N, K), and says in the model what its columns and its target
 * are called, so that tables are matched with it by name.
 */
export function describeModel(
  graph: GraphBuilder,
  tensor: string,
  { columns, target }: Pick<TrainingTable, 'columns' | 'target'>,
): void {
  const { name, classes } = target;
  graph.output(classes ? 'probabilities' : 'prediction', tensor, 'float32', ['N', classes?.length ?? 1]);
  graph.describe(featureNamesKey, JSON.stringify(columns));
  graph.describe('patchline.target', name);
  graph.describe('patchline.task', taskOf(target));
  if (classes) graph.describe('patchline.classes', JSON.stringify(classes));
}
