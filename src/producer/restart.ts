import { setTimeout as sleep } from 'node:timers/promises';
import type { Job } from 'bullmq';
import type { Inspection } from '../shared/contracts.js';
import { resultKey } from '../shared/keys.js';
import { jobIdOf, jobOptions, lookAt, type Queues } from '../shared/queues.js';
import type { ObjectStore } from '../shared/store/object-store.js';

const attempts = 8;

export async function addScore({ queue, config }: Queues, inspection: Inspection): Promise<void> {
  await queue.score.add('score', inspection, jobOptions(inspection, jobIdOf(inspection.inspectionId, 'score'), config));
}

/**
 * Clears away what is left of an inspection's jobs and enqueues it from score. Score goes first: its lock tells whether
 * somebody is at it. Removing finalize takes its whole tree along.
 *
 * @returns false where a worker held on to one of the jobs all the while: the next reconcile looks again.
 */
export async function restart(queues: Queues, inspection: Inspection): Promise<boolean> {
  const { queue, config } = queues;
  const { inspectionId } = inspection;
  for (let attempt = 0; attempt < attempts; attempt++) {
    try {
      for (const stage of ['score', 'finalize'] as const) {
        const job: Job | undefined = await queue[stage].getJob(jobIdOf(inspectionId, stage));
        await job?.remove();
      }
      await addScore(queues, inspection);
      return true;
    } catch (error) {
      if (!/locked/.test((error as Error).message)) throw error;
      await sleep(config.lockDurationMs / 4);
    }
  }
  return false;
}

/**
 * Inspects anew what has a result or failed. The result is deleted first: from there on reconcile would find the image,
 * so that a process that dies in the middle loses nothing.
 *
 * @returns false where the inspection is under way.
 */
export async function runAgain(
  { store, queues }: { store: ObjectStore; queues: Queues },
  inspection: Inspection,
): Promise<boolean> {
  for (const stage of ['score', 'finalize'] as const) {
    if ((await lookAt(queues, stage, jobIdOf(inspection.inspectionId, stage))).live) return false;
  }
  await store.delete(resultKey(inspection.inspectionId));
  return await restart(queues, inspection);
}
