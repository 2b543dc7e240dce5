import type { Redis } from 'ioredis';
import { z } from 'zod';
import type { QueueConfig } from '../shared/config.js';
import { streamKey } from '../shared/queues.js';
import type { SinkSettings } from '../shared/sink-settings.js';
import { getJson, type ObjectStore, putJson } from '../shared/store/object-store.js';
import type { Gap } from './gaps.js';
import { acknowledgedUpTo, createGroup, groupOf, groupState, isBefore, noId, timeOf } from './stream-group.js';

/**
 * How far a sink has come, by stream: everything up to this id is acknowledged. It is kept in the store, beside Redis, and tells
 * a sink that has never run from one whose consumer group was lost with Redis.
 */
const positionSchema = z.partialRecord(z.enum(['verdicts', 'results']), z.string());
type Position = z.infer<typeof positionSchema>;

const keyOf = (sink: string): string => `sinks/${sink}/position.json`;

const readPosition = async (store: ObjectStore, sink: string): Promise<Position> =>
  positionSchema.parse((await getJson(store, keyOf(sink))) ?? {});

interface PositionContext {
  store: ObjectStore;
  redis: Redis;
  queue: QueueConfig;
}

/**
 * Makes the consumer groups that are not there.
 *
 * @param addGap is told, before a lost group is made again, which time the sink has missed
 */
export async function prepareGroups(
  { name, events, from }: SinkSettings,
  { store, redis, queue }: PositionContext,
  addGap: (gap: Gap) => Promise<void>,
): Promise<void> {
  const position = await readPosition(store, name);
  for (const stream of events) {
    const key = streamKey(queue, stream);
    const known = position[stream];
    if (await groupState(redis, key, groupOf(name))) {
      position[stream] ??= await nowOn(redis); // its process died right after it had made the group
    } else if (known === undefined) {
      await createGroup(redis, key, groupOf(name), from === 'all' ? '0' : '$');
      position[stream] = from === 'all' ? noId : await nowOn(redis);
    } else {
      const start = await startOf(redis, key);
      await addGap({ stream, fromMs: timeOf(known), untilMs: timeOf(start) });
      await createGroup(redis, key, groupOf(name), '0');
      position[stream] = start; // for what came before, the gap stands in the store
    }
  }
  await putJson(store, keyOf(name), position);
}

/** The first event that a stream holds; now where it holds none: what is told from now on will be in it. */
async function startOf(redis: Redis, key: string): Promise<string> {
  const [first] = await redis.xrange(key, '-', '+', 'COUNT', 1);
  return first?.[0] ?? (await nowOn(redis));
}

/** An id on the clock of Redis, which makes all ids. */
async function nowOn(redis: Redis): Promise<string> {
  const [seconds, microseconds] = await redis.time();
  return `${Number(seconds) * 1000 + Math.floor(Number(microseconds) / 1000)}-0`;
}

/** Moves the position to what the consumer groups have acknowledged by now; it never goes back. */
export async function advancePosition(
  { name, events }: SinkSettings,
  { store, redis, queue }: PositionContext,
): Promise<void> {
  const known = await readPosition(store, name);
  const position = { ...known };
  for (const stream of events) {
    const reached = await acknowledgedUpTo(redis, streamKey(queue, stream), groupOf(name));
    if (reached !== undefined && isBefore(known[stream] ?? noId, reached)) position[stream] = reached;
  }
  if (events.some((stream) => position[stream] !== known[stream])) await putJson(store, keyOf(name), position);
}
