import type { FlowJobNode, FlowRootParentJob, JobsOptions } from 'bullmq';
import type { QueueConfig } from '../shared/config.js';
import type { ExplainingData, ExplainingStage, ScoredInspection } from '../shared/contracts.js';
import { jobIdOf, jobOptions } from '../shared/queues.js';

/**
 * The flow of an explained inspection: finalize waits for gradcam and shap, shap for features.
 *
 * @param run makes the children's ids those of this flow alone, so that a child left over from an earlier flow is never
 *   taken for one of this.
 */
export function flowOf(data: ScoredInspection, run: string, config: QueueConfig): FlowRootParentJob {
  const { inspectionId } = data;
  const { scored, ...inspection } = data;
  const { verdict, anomalyScore, severity, patchDistance } = scored;
  const explaining: ExplainingData = { ...inspection, verdict, anomalyScore, severity, patchDistance };
  const child = (stage: ExplainingStage, more: JobsOptions, children: FlowJobNode[] = []): FlowJobNode => {
    const opts = { ...jobOptions(data, `${inspectionId}-${stage}-${run}`, config), ...more };
    return { name: stage, queueName: stage, data: explaining, opts, children };
  };
  return {
    name: 'finalize',
    queueName: 'finalize',
    data,
    opts: jobOptions(data, jobIdOf(inspectionId, 'finalize'), config),
    children: [
      child('gradcam', { ignoreDependencyOnFailure: true }),
      child('shap', { ignoreDependencyOnFailure: true }, [child('features', { failParentOnFailure: true })]),
    ],
  };
}
