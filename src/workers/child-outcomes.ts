import type { Job } from 'bullmq';
import type { ExplainingStage, Explanation } from '../shared/contracts.js';
import type { Queues } from '../shared/queues.js';
import { parseFailure } from '../shared/results.js';

/** How each explaining stage of a flow ended. A stage that was not part of the flow is missing. */
export type ChildOutcomes = Partial<Record<ExplainingStage, Explanation>>;

/** By stage: BullMQ names children by their whole key, `prefix:queue:id`. */
const byStage = (children: Record<string, string>) =>
  Object.fromEntries(
    Object.entries(children).map(([key, value]) => {
      const [, stage, jobId] = key.split(':');
      return [stage, { jobId: jobId!, value }];
    }),
  );

/**
 * How the children of a finalize job ended. `features` is shap's child, so its end is read off shap's: a shap that ran
 * proves that features was done; "child … failed" is what BullMQ gives a job whose child failed it.
 */
export async function childOutcomes(job: Job, queues: Queues): Promise<ChildOutcomes> {
  const values = byStage(await job.getChildrenValues());
  const failures = byStage(await job.getIgnoredChildrenFailures());
  const failed = (reason: string): Explanation => ({ status: 'failed', ...parseFailure(reason) });
  const outcomes: ChildOutcomes = {};

  if (values.gradcam) outcomes.gradcam = { status: 'done' };
  else if (failures.gradcam) outcomes.gradcam = failed(failures.gradcam.value);

  if (values.shap) Object.assign(outcomes, { features: { status: 'done' }, shap: { status: 'done' } });
  else if (failures.shap && /^child .* failed$/.test(failures.shap.value)) {
    outcomes.features = failed(await featuresFailure(failures.shap.jobId, failures.shap.value, queues));
    outcomes.shap = { status: 'skipped', code: 'FEATURES_FAILED', message: outcomes.features.message! };
  } else if (failures.shap)
    Object.assign(outcomes, { features: { status: 'done' }, shap: failed(failures.shap.value) });
  return outcomes;
}

/** Why the features job under a shap job failed; the queue's own words where it is gone. */
async function featuresFailure(shapJobId: string, fallback: string, { queue }: Queues): Promise<string> {
  const shap: Job | undefined = await queue.shap.getJob(shapJobId);
  const { failed = [] } = (await shap?.getDependencies()) ?? {};
  for (const key of failed) {
    const features: Job | undefined = await queue.features.getJob(key.split(':')[2]!);
    if (features?.failedReason) return features.failedReason;
  }
  return fallback;
}
