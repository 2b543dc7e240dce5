import {
  type InspectionEvent,
  type InspectionResult,
  inspectionEventSchema,
  type Stage,
  stageNames,
} from '../shared/contracts.js';
import { dateOfInspection } from '../shared/keys.js';
import type { Logger } from '../shared/logger.js';
import { jobIdOf, lookAt, type Queues, streamKey } from '../shared/queues.js';
import { connectRedis } from '../shared/redis.js';
import { readResult } from '../shared/results.js';
import type { ObjectStore } from '../shared/store/object-store.js';
import { resultIdsOf } from './originals.js';

export interface WaitOptions {
  store: ObjectStore;
  queues: Queues;
  logger: Logger;
  /** Where in the stream of results to begin: `lastEventId` from before the first image was enqueued. */
  from: string;
  /** Told every `stallMs` without a result why that may be. */
  onStall: (reason: string) => void;
  /** Default 30 s. */
  stallMs?: number;
}

/** The id of the newest event, `0` where there is none. */
export async function lastEventId({ redis, config }: Queues): Promise<string> {
  const [newest] = await redis.xrevrange(streamKey(config, 'results'), '+', '-', 'COUNT', 1);
  return newest?.[0] ?? '0';
}

/** Waits until the result of each inspection has been told, without reading it. */
export async function waitForEvents(
  ids: Iterable<string>,
  { queues, logger, from }: Pick<WaitOptions, 'queues' | 'logger' | 'from'>,
): Promise<void> {
  const pending = new Set(ids);
  const reader = connectRedis(queues.url, { logger });
  try {
    while (pending.size > 0) {
      const news = await readEvents(reader, streamKey(queues.config, 'results'), from);
      from = news.from;
      for (const { inspectionId } of news.events) pending.delete(inspectionId);
    }
  } finally {
    reader.disconnect();
  }
}

/** Time without an event after which the store itself is asked: events may be lost with Redis, results are not. */
const storeLookMs = 5_000;

/** Yields the result of each inspection as it comes, until all are there. It waits for results, not for jobs. */
export async function* waitForResults(ids: Iterable<string>, options: WaitOptions): AsyncGenerator<InspectionResult> {
  const { store, queues, logger, onStall, stallMs = 30_000 } = options;
  const pending = new Set(ids);
  const reader = connectRedis(queues.url, { logger });
  let from = options.from;
  let progressAt = Date.now();
  let stallToldAt = progressAt;
  let storeAskedAt = 0;
  try {
    while (pending.size > 0) {
      const news = await readEvents(reader, streamKey(queues.config, 'results'), from);
      from = news.from;
      let found = news.events.map(({ inspectionId }) => inspectionId).filter((id) => pending.has(id));
      if (found.length === 0 && Date.now() - storeAskedAt > storeLookMs) {
        found = await findFinished(store, pending);
        storeAskedAt = Date.now();
      }
      for (const id of found) {
        const result = pending.has(id) ? await readResult(store, id) : undefined;
        if (!result) continue;
        pending.delete(id);
        progressAt = Date.now();
        yield result;
      }
      if (pending.size > 0 && Date.now() - Math.max(progressAt, stallToldAt) > stallMs) {
        onStall(await explainStall(queues, pending));
        stallToldAt = Date.now();
      }
    }
  } finally {
    reader.disconnect();
  }
}

/** The events after `from`, waited for at most a second. */
export async function readEvents(
  reader: Queues['redis'],
  key: string,
  from: string,
): Promise<{ events: InspectionEvent[]; from: string }> {
  const answer = await reader.xread('COUNT', 1_000, 'BLOCK', 1_000, 'STREAMS', key, from);
  const entries = answer?.[0]?.[1] ?? [];
  const events = entries.map(([, fields]) => inspectionEventSchema.parse(JSON.parse(fields[1]!)));
  return { events, from: entries.at(-1)?.[0] ?? from };
}

/** Those of the inspections that have a result in the store. */
export async function findFinished(store: ObjectStore, pending: ReadonlySet<string>): Promise<string[]> {
  const dates = new Set([...pending].map(dateOfInspection));
  const found: string[] = [];
  for (const date of dates) for (const id of await resultIdsOf(store, date)) if (pending.has(id)) found.push(id);
  return found;
}

/** Why no result comes: a stage without a worker, or inspections whose jobs are gone. */
export async function explainStall(queues: Queues, pending: ReadonlySet<string>): Promise<string> {
  const withoutWorker: Stage[] = [];
  for (const stage of stageNames) {
    if ((await queues.queue[stage].getWorkersCount()) === 0) withoutWorker.push(stage);
  }
  if (withoutWorker.length > 0) {
    return `no worker takes jobs of ${withoutWorker.join(', ')}: start "patchline up" or "patchline worker ${withoutWorker.join(' ')}"`;
  }
  let gone = 0;
  for (const id of pending) {
    const score = await lookAt(queues, 'score', jobIdOf(id, 'score'));
    if (!score.live && !(await lookAt(queues, 'finalize', jobIdOf(id, 'finalize'))).live) gone++;
  }
  return gone > 0
    ? `${gone} of ${pending.size} inspections have no job: run "patchline reconcile"`
    : `${pending.size} inspections are still under way`;
}
