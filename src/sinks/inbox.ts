import type { Redis } from 'ioredis';
import {
  forgetConsumers,
  readNew,
  type StreamEntry,
  type Trimmed,
  takeOver,
  touch,
  unacknowledged,
  waitForNew,
} from './stream-group.js';

/** How often a sink does what it does beside delivering; tests shorten it. */
export interface Pace {
  /** How long one look at the streams waits for an event. */
  blockMs: number;
  /** After this time without a sign of life the entries of a consumer are taken over. */
  takeOverMs: number;
  /** Between two signs of life, and two looks at how far the sink has come. */
  beatMs: number;
}
export const usualPace: Pace = { blockMs: 5_000, takeOverMs: 60_000, beatMs: 10_000 };

/** Entries read at once and stream. */
const count = 100;
const forgetAfterMs = 3_600_000;

export interface Inbox {
  /** Entries that no other process works on, in the order of each stream; none after `blockMs` without any. @throws NOGROUP */
  next(): Promise<{ entries: StreamEntry[]; trimmed: Trimmed[] }>;
  acknowledge(entry: StreamEntry): Promise<void>;
  /** Says that this process still works on what it has read. */
  touch(): Promise<void>;
  /** Hands on what was not acknowledged: any process may take it over at once. */
  release(): Promise<void>;
}

export interface InboxOptions {
  redis: Redis;
  /** A connection of its own: it blocks while there is no event. */
  reader: Redis;
  /** Keys in Redis. */
  streams: string[];
  group: string;
  /** Unique to this process. */
  consumer: string;
  pace: Pace;
}

/** What one process reads from the streams as a member of a consumer group, and has not acknowledged. */
export function openInbox({ redis, reader, streams, group, consumer, pace }: InboxOptions): Inbox {
  const { blockMs, takeOverMs } = pace;
  const held = new Map(streams.map((stream) => [stream, new Set<string>()]));
  let lookedAt = 0;

  /** What processes that died had read, at start and then at half the time after which it may be taken. */
  async function leftBehind(): Promise<{ entries: StreamEntry[]; trimmed: Trimmed[] }> {
    const entries: StreamEntry[] = [];
    const trimmed: Trimmed[] = [];
    if (Date.now() - lookedAt < takeOverMs / 2) return { entries, trimmed };
    for (const stream of streams) {
      const found = await takeOver(redis, stream, { group, consumer, idleMs: takeOverMs, count });
      entries.push(...found.entries);
      if (found.lost.length > 0) trimmed.push({ stream, from: found.lost[0]!, until: found.lost.at(-1)! });
      await forgetConsumers(redis, stream, group, forgetAfterMs);
    }
    if (entries.length + trimmed.length === 0) lookedAt = Date.now();
    return { entries, trimmed };
  }

  async function look(): Promise<{ entries: StreamEntry[]; trimmed: Trimmed[] }> {
    const left = await leftBehind();
    if (left.entries.length + left.trimmed.length > 0) return left;
    const found = await readNew(redis, streams, { group, consumer, count });
    if (found.entries.length + found.trimmed.length > 0) return found;
    return { entries: await waitForNew(reader, streams, { group, consumer, count, blockMs }), trimmed: [] };
  }

  return {
    async next() {
      const { entries, trimmed } = await look();
      const fresh = entries.filter(({ stream, id }) => !held.get(stream)!.has(id));
      for (const { stream, id } of fresh) held.get(stream)!.add(id);
      return { entries: fresh, trimmed };
    },
    async acknowledge({ stream, id }) {
      held.get(stream)!.delete(id); // before: where it fails, the entry comes again as one that was left behind
      await redis.xack(stream, group, id);
    },
    async touch() {
      for (const [stream, ids] of held) await touch(redis, stream, { group, consumer, ids: [...ids] });
    },
    async release() {
      for (const stream of streams) {
        const ids = await unacknowledged(redis, stream, group, consumer);
        await touch(redis, stream, { group, consumer, ids, idleMs: takeOverMs });
      }
    },
  };
}
