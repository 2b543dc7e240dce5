import { randomBytes } from 'node:crypto';
import type { ScoredInspection } from '../shared/contracts.js';
import { PatchlineError } from '../shared/errors.js';
import { jobIdOf, jobOptions, lookAt, type Queues } from '../shared/queues.js';
import { readResult } from '../shared/results.js';
import type { ObjectStore } from '../shared/store/object-store.js';
import { flowOf } from './flow.js';

/** Adds the finalize job of an image that gets no explanations. Its id is fixed, so that adding it twice adds it once. */
export async function addFinalize({ queue, config }: Queues, data: ScoredInspection): Promise<void> {
  await queue.finalize.add('finalize', data, jobOptions(data, jobIdOf(data.inspectionId, 'finalize'), config));
}

export interface FlowAdder {
  queues: Queues;
  store: ObjectStore;
  /** Renews the lock of the score job; false where another run has taken it over. */
  keepLock(): Promise<boolean>;
}

/**
 * Adds the flow of an explained inspection, unless it is there or has left its result. Only a score job calls this: its
 * lock lets one run at a time do so, and a run that froze and lost the lock stops here. Nothing left over is removed,
 * because it may belong to that other run.
 */
export async function addFlow({ queues, store, keepLock }: FlowAdder, data: ScoredInspection): Promise<void> {
  const { inspectionId } = data;
  if ((await lookAt(queues, 'finalize', jobIdOf(inspectionId, 'finalize'))).exists) return;
  // Read after that look: a finalize job that has been trimmed has left its result.
  const result = await readResult(store, inspectionId);
  if (result && result.status !== 'failed') return;
  if (!(await keepLock())) {
    throw new PatchlineError('LOCK_LOST', `Another worker has taken over the score job of ${inspectionId}`, {
      retryable: true,
    });
  }
  await queues.flow.add(flowOf(data, randomBytes(4).toString('hex'), queues.config));
}
