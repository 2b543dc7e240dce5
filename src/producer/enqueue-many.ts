import pMap from 'p-map';
import type { Inspection } from '../shared/contracts.js';
import { jobIdOf, jobOptions, type Queues } from '../shared/queues.js';
import { enqueue, type Producer } from './enqueue.js';
import type { ResultLookup } from './result-lookup.js';

/** Jobs in one transaction: Redis serves nobody else meanwhile. */
const jobsAtOnce = 250;

/**
 * Enqueues many inspections in few round trips, as `enqueue` does one.
 *
 * @returns the ids of those that had a result already and were left alone
 */
export async function enqueueMany(
  producer: Producer,
  inspections: readonly Inspection[],
  results: ResultLookup,
): Promise<Set<string>> {
  const finished = await results.among(inspections.map(({ inspectionId }) => inspectionId));
  const open = inspections.filter(({ inspectionId }) => !finished.has(inspectionId));
  const known = await knownJobs(producer.queues, open);
  const fresh = open.filter((_, index) => !known[index]);
  for (let start = 0; start < fresh.length; start += jobsAtOnce) {
    await addScores(producer.queues, fresh.slice(start, start + jobsAtOnce));
  }
  // What a lost or trimmed job left behind has to be cleared away first: that is one at a time, and rare.
  const left = open.filter((_, index) => known[index]);
  const add = async (inspection: Inspection) => {
    if ((await enqueue(producer, inspection, false)) === 'finished') finished.add(inspection.inspectionId);
  };
  await pMap(left, add, { concurrency: 8 });
  return finished;
}

/** Whether there is a score job for each inspection, in any state. */
async function knownJobs({ redis, queue }: Queues, inspections: readonly Inspection[]): Promise<boolean[]> {
  const looks = redis.pipeline();
  for (const { inspectionId } of inspections) looks.exists(queue.score.toKey(jobIdOf(inspectionId, 'score')));
  return ((await looks.exec()) ?? []).map(([error, exists]) => {
    if (error) throw error;
    return exists === 1;
  });
}

async function addScores({ queue, config }: Queues, inspections: readonly Inspection[]): Promise<void> {
  await queue.score.addBulk(
    inspections.map((inspection) => ({
      name: 'score',
      data: inspection,
      opts: jobOptions(inspection, jobIdOf(inspection.inspectionId, 'score'), config),
    })),
  );
}
