import { hostname } from 'node:os';
import type { Redis } from 'ioredis';
import type { QueueConfig } from '../shared/config.js';
import { inspectionEventSchema } from '../shared/contracts.js';
import { messageOf } from '../shared/errors.js';
import { streamKey } from '../shared/queues.js';

/** An entry of the stream `results`. `inspectionId` is undefined where the entry names none. */
export interface ResultEvent {
  entryId: string;
  inspectionId: string | undefined;
}

/** The stream `results` as one consumer of the group `history` reads it: each entry until it is acknowledged. */
export interface ResultEvents {
  /** Whether Redis has the group: it remembers what has been read. */
  isKnown(): Promise<boolean>;
  /** The last entry there is; '0' where there is none. */
  lastEntry(): Promise<string>;
  /** Makes the group where there is none, to read what comes after an entry. */
  join(after: string): Promise<void>;
  /** Entries that this consumer holds, those of dead ones, then new ones: up to `limit`, as many as come within a moment. */
  next(limit: number, signal: AbortSignal): Promise<ResultEvent[]>;
  acknowledge(events: readonly ResultEvent[]): Promise<void>;
  /** Starts again with the entries that this consumer holds: what it did with them failed. */
  rewind(): void;
  /** Takes this consumer out of the group, unless it still holds entries. */
  leave(): Promise<void>;
}

const group = 'history';
/** How long to wait for a first entry before looking around. */
const blockMs = 1_000;
/** How long a first entry waits for others, so that they are written together. */
const gatherMs = 2_000;

/** @param redis its own connection: reading blocks it */
export function readResultEvents(redis: Redis, config: QueueConfig): ResultEvents {
  const key = streamKey(config, 'results');
  const consumer = `${hostname()}-${process.pid}`;
  let holdsEntries = true; // an earlier process may have had the same name, as in a container
  let claimedAt = Number.NEGATIVE_INFINITY;

  async function read(from: '0' | '>', count: number, waitMs: number): Promise<ResultEvent[]> {
    const answer = (await redis.xreadgroup(
      ...(['GROUP', group, consumer, 'COUNT', count, 'BLOCK', waitMs, 'STREAMS', key, from] as const),
    )) as [key: string, entries: [id: string, fields: string[] | null][]][] | null;
    return (answer?.[0]?.[1] ?? []).map(([entryId, fields]) => ({ entryId, inspectionId: inspectionIdOf(fields) }));
  }

  /** Takes over what others have held for longer than a lock lasts. */
  async function claim(): Promise<void> {
    claimedAt = Date.now();
    let cursor = '0-0';
    do {
      const claimed = (await redis.xautoclaim(
        ...([key, group, consumer, config.lockDurationMs, cursor, 'COUNT', 1_000, 'JUSTID'] as const),
      )) as [cursor: string, ids: string[]];
      if (claimed[1].length > 0) holdsEntries = true;
      cursor = claimed[0];
    } while (cursor !== '0-0');
  }

  return {
    async isKnown() {
      if ((await redis.exists(key)) === 0) return false;
      const groups = (await redis.xinfo('GROUPS', key)) as string[][]; // each ['name', NAME, 'consumers', …]
      return groups.some(([, name]) => name === group);
    },
    async lastEntry() {
      const [last] = await redis.xrevrange(key, '+', '-', 'COUNT', 1);
      return last?.[0] ?? '0';
    },
    async join(after) {
      try {
        await redis.xgroup('CREATE', key, group, after, 'MKSTREAM');
      } catch (error) {
        if (!messageOf(error).startsWith('BUSYGROUP')) throw error;
      }
    },
    async next(limit, signal) {
      if (Date.now() - claimedAt >= config.stalledIntervalMs) await claim();
      if (holdsEntries) {
        const held = await read('0', limit, blockMs);
        if (held.length > 0) return held;
        holdsEntries = false;
      }
      const events = await read('>', limit, blockMs);
      const endsAt = Date.now() + gatherMs;
      while (events.length > 0 && events.length < limit && !signal.aborted) {
        const waitMs = Math.min(blockMs, endsAt - Date.now());
        if (waitMs < 1) break;
        events.push(...(await read('>', limit - events.length, waitMs)));
      }
      return events;
    },
    async acknowledge(events) {
      if (events.length > 0) await redis.xack(key, group, ...events.map(({ entryId }) => entryId));
    },
    rewind() {
      holdsEntries = true;
    },
    async leave() {
      try {
        const held = (await redis.xpending(key, group, '-', '+', 1, consumer)) as unknown[];
        if (held.length === 0) await redis.xgroup('DELCONSUMER', key, group, consumer);
      } catch (error) {
        if (!messageOf(error).startsWith('NOGROUP')) throw error; // it never joined, or the group is gone with Redis
      }
    },
  };
}

/** Undefined for an entry that was trimmed meanwhile or holds no event. */
function inspectionIdOf(fields: string[] | null): string | undefined {
  try {
    return inspectionEventSchema.parse(JSON.parse(fields?.[1] ?? 'null')).inspectionId;
  } catch {
    return undefined;
  }
}
