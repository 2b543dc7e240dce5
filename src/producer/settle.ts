import { listVersions } from '../shared/bundle.js';
import type { Inspection } from '../shared/contracts.js';
import { codeOf } from '../shared/errors.js';
import { failedJob, isStuck, type JobState, jobIdOf, lookAt } from '../shared/queues.js';
import { hasResult, leaveFailed } from '../shared/results.js';
import { type CameraImage, inspectionOf, type Producer } from './enqueue.js';
import { restart } from './restart.js';

/** Product and bundle versions that images of a camera may have been inspected with. */
export interface Versions {
  product: string;
  active: string;
  all: string[];
}

/** @throws CAMERA_UNKNOWN, BUNDLE_NOT_FOUND, BUNDLE_DAMAGED where images of this camera cannot be inspected. */
export async function versionsOf(producer: Producer, camera: string): Promise<Versions> {
  const product = await producer.productOf(camera);
  const active = await producer.activeVersionOf(product);
  const all = new Set([active, ...(await listVersions(producer.store, product))]);
  return { product, active, all: [...all] };
}

/** Whether an error says that images of a camera cannot be inspected for now. */
export const isUnassigned = (error: unknown): boolean =>
  ['CAMERA_UNKNOWN', 'BUNDLE_NOT_FOUND', 'BUNDLE_DAMAGED'].includes(codeOf(error));

/** What became of an image, and the inspection by which it counts as inspected or on its way. */
export interface Settled {
  /** `failed`: failed for good, and only now written down as such; `busy`: held by a worker, for the next look. */
  outcome: 'finished' | 'live' | 'enqueued' | 'failed' | 'busy';
  inspection: Inspection;
}

interface Look {
  inspection: Inspection;
  score: JobState;
  finalize: JobState;
}

/**
 * Brings an image that may have been enqueued before on its way, unless it has a result of any bundle version, or a live job.
 * One look at score, then finalize, then the result: work moves only in that direction, so none slips through.
 */
export async function settleImage(
  producer: Producer,
  image: CameraImage,
  { product, active, all }: Versions,
  priority: number,
): Promise<Settled> {
  const { store, queues, config } = producer;
  const looks: Look[] = [];
  for (const version of all) {
    const inspection = inspectionOf(image, product, version, config, priority);
    const score = await lookAt(queues, 'score', jobIdOf(inspection.inspectionId, 'score'));
    const finalizeId = jobIdOf(inspection.inspectionId, 'finalize');
    const finalize = await lookAt(queues, 'finalize', finalizeId);
    const stuck = finalize.live && (await isStuck(queues.redis, queues.queue.finalize.toKey(finalizeId)));
    if (score.live || (finalize.live && !stuck)) return { outcome: 'live', inspection };
    looks.push({ inspection, score, finalize });
  }
  for (const { inspection } of looks) {
    if (await hasResult(store, inspection.inspectionId)) return { outcome: 'finished', inspection };
  }
  const withJobs = looks.filter(({ score, finalize }) => score.exists || finalize.exists);
  for (const { inspection } of withJobs) {
    for (const stage of ['finalize', 'score'] as const) {
      const dead = await failedJob(queues, stage, jobIdOf(inspection.inspectionId, stage));
      if (!dead) continue;
      // Its worker died before it could write this down itself.
      const written = await leaveFailed({ store, queues }, inspection, stage, dead.failedReason);
      return { outcome: written ? 'failed' : 'finished', inspection };
    }
  }
  // Under the version whose jobs are there, since these have to go; else as the producer would now.
  const { inspection } = withJobs[0] ?? looks.find((look) => look.inspection.bundle === active)!;
  return { outcome: (await restart(queues, inspection)) ? 'enqueued' : 'busy', inspection };
}
