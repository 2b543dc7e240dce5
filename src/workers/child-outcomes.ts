import type { Job } from 'bullmq';
import {
  type ExplainingStage,
  type Explanation,
  type ExplanationName,
  type GradcamResult,
  type ShapResult,
  stages,
} from '../shared/contracts.js';
import { PatchlineError } from '../shared/errors.js';
import type { Queues } from '../shared/queues.js';
import { parseFailure } from '../shared/results.js';

/** How each explaining stage of a flow ended, and what those that are done found. */
export interface ChildOutcomes {
  explanations: Record<ExplainingStage, Explanation> & Partial<Record<ExplanationName, Explanation>>;
  gradcam?: GradcamResult;
  shap?: ShapResult;
}

/** By stage: BullMQ names children by their whole key, `prefix:queue:id`. */
const byStage = <T>(children: Record<string, T>): Partial<Record<string, { jobId: string; value: T }>> =>
  Object.fromEntries(
    Object.entries(children).map(([key, value]) => {
      const [, stage, jobId] = key.split(':');
      return [stage, { jobId: jobId!, value }];
    }),
  );

/**
 * How the children of a finalize job ended; `attributesProcess` where the product has a model of process data. `features` is shap's child, so its end is read off shap's: a shap that ran
 * proves that features was done; "child … failed" is what BullMQ gives a job whose child failed it.
 *
 * @throws CONTRACT_VIOLATED where a child neither ended well nor failed: finalize was released before its time
 */
export async function childOutcomes(job: Job, queues: Queues, attributesProcess = false): Promise<ChildOutcomes> {
  const values = byStage<unknown>(await job.getChildrenValues());
  const failures = byStage(await job.getIgnoredChildrenFailures());
  for (const stage of ['gradcam', 'shap']) {
    if (values[stage] || failures[stage]) continue;
    throw new PatchlineError('CONTRACT_VIOLATED', `Expected the ${stage} job under ${job.id} to have ended`);
  }
  const explanations = {
    gradcam: failures.gradcam ? failed(failures.gradcam.value) : done,
    ...(failures.shap ? await withoutShap(failures.shap, queues) : { features: done, shap: done }),
  };
  const shap = values.shap && stages.shap.result.parse(values.shap.value);
  const process = shap?.process ?? (attributesProcess ? withoutProcess(explanations.shap) : undefined);
  return {
    explanations: { ...explanations, ...(process && { process }) },
    ...(values.gradcam && { gradcam: stages.gradcam.result.parse(values.gradcam.value) }),
    ...(shap && { shap }),
  };
}

/** The stage shap attributes process data too, so that both are lost together. */
export const withoutProcess = ({ code, message }: Explanation): Explanation => ({ status: 'skipped', code, message });

const done: Explanation = { status: 'done' };
const failed = (reason: string): Explanation => ({ status: 'failed', ...parseFailure(reason) });

/** Whether shap failed itself, or could not run because features had failed. */
async function withoutShap({ jobId, value: reason }: { jobId: string; value: string }, queues: Queues) {
  if (!/^child .* failed$/.test(reason)) return { features: done, shap: failed(reason) };
  const features = failed(await featuresFailure(jobId, reason, queues));
  const shap: Explanation = { status: 'skipped', code: 'FEATURES_FAILED', message: features.message! };
  return { features, shap };
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
