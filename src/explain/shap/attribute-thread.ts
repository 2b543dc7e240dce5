import { inThread } from '../../shared/compute.js';
import { readModel } from '../../shared/onnx/model.js';
import { type AttributionTask, explainTask } from './attribute.js';
import { openTabularModel, type TabularModel } from './tabular-model.js';

/** The model of the last task: tasks of one command share theirs. */
let last: { id: string; model: TabularModel } | undefined;

export default inThread(async ({ model, axes, output, method, question }: AttributionTask) => {
  if (last?.id !== model.id) {
    last = { id: model.id, model: openTabularModel(readModel(model.bytes.slice()), axes, output) };
  }
  return await explainTask(last.model, method, question);
});
