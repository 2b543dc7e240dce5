import { type EventStream, type Queues, streamKey } from '../shared/queues.js';
import type { SinkSettings } from '../shared/sink-settings.js';
import type { ObjectStore } from '../shared/store/object-store.js';
import { listFailed } from './failed-events.js';
import { type Gap, listGaps } from './gaps.js';
import { readSigns, type SignsOfLife } from './signs-of-life.js';
import { groupOf, groupState } from './stream-group.js';

export interface SinkStatus extends SignsOfLife {
  name: string;
  type: SinkSettings['type'];
  streams: {
    stream: EventStream;
    /** Events that no process has read yet; null where Redis cannot tell, or the sink has never run. */
    waiting: number | null;
    /** Events that were read and are not delivered yet. */
    underWay: number;
  }[];
  /** Times whose events are still to be made up for from the store. */
  missed: Gap[];
  /** Events on the failed list. */
  failed: number;
}

export async function statusOf(
  { name, type, events }: SinkSettings,
  { store, queues: { redis, config } }: { store: ObjectStore; queues: Queues },
): Promise<SinkStatus> {
  const streams: SinkStatus['streams'] = [];
  for (const stream of events) {
    const state = await groupState(redis, streamKey(config, stream), groupOf(name));
    streams.push({ stream, waiting: state?.waiting ?? null, underWay: state?.pending ?? 0 });
  }
  return {
    name,
    type,
    ...(await readSigns(redis, config, name)),
    streams,
    missed: await listGaps(store, name),
    failed: await countFailed(store, name),
  };
}

async function countFailed(store: ObjectStore, name: string): Promise<number> {
  let count = 0;
  for await (const _ of listFailed(store, name)) count++;
  return count;
}
