import { z } from 'zod';
import { type EventStream, type Queues, streamKey } from '../shared/queues.js';
import type { SinkSettings } from '../shared/sink-settings.js';
import type { ObjectStore } from '../shared/store/object-store.js';
import type { Trouble } from './deliveries.js';
import { listFailed } from './failed-events.js';
import { type Gap, listGaps } from './gaps.js';
import { groupOf, troubleKey } from './sink-keys.js';
import { countConsumers, groupState } from './stream-group.js';

export interface SinkStatus {
  name: string;
  type: SinkSettings['type'];
  /** Processes that have shown signs of life. */
  processes: number;
  streams: {
    stream: EventStream;
    /** Events that no process has read yet; null where Redis cannot tell, or the sink has never run. */
    waiting: number | null;
    /** Events that were read and are not delivered yet. */
    underWay: number;
  }[];
  /** Why nothing is delivered at the moment. */
  trouble: Trouble | null;
  /** Times whose events are still to be made up for from the store. */
  missed: Gap[];
  /** Events on the failed list. */
  failed: number;
}

const troubleSchema = z.strictObject({ since: z.string(), reason: z.string() });

export async function statusOf(
  { name, type, events }: SinkSettings,
  { store, queues: { redis, config } }: { store: ObjectStore; queues: Queues },
): Promise<SinkStatus> {
  const streams: SinkStatus['streams'] = [];
  let processes = 0;
  for (const stream of events) {
    const key = streamKey(config, stream);
    const state = await groupState(redis, key, groupOf(name));
    streams.push({ stream, waiting: state?.waiting ?? null, underWay: state?.pending ?? 0 });
    if (state) processes = Math.max(processes, await countConsumers(redis, key, groupOf(name), seenWithinMs));
  }
  const trouble = await redis.get(troubleKey(config, name));
  return {
    name,
    type,
    processes,
    streams,
    trouble: trouble === null ? null : troubleSchema.parse(JSON.parse(trouble)),
    missed: await listGaps(store, name),
    failed: await countFailed(store, name),
  };
}

/** A running sink looks at its streams, or touches what it has read, far more often. */
const seenWithinMs = 30_000;

async function countFailed(store: ObjectStore, name: string): Promise<number> {
  let count = 0;
  for await (const _ of listFailed(store, name)) count++;
  return count;
}
