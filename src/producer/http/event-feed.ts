import { setTimeout as sleep } from 'node:timers/promises';
import { type InspectionEvent, inspectionEventSchema } from '../../shared/contracts.js';
import type { Logger } from '../../shared/logger.js';
import { type EventStream, type Queues, streamKey } from '../../shared/queues.js';
import { connectRedis } from '../../shared/redis.js';

const streams = ['verdicts', 'results'] as const satisfies EventStream[];

export interface StreamEntry {
  /** Of the entry in its Redis stream. */
  id: string;
  event: InspectionEvent;
}

/** Tells whoever listens in this process what is appended to the event streams, over one connection for all. */
export interface EventFeed {
  /** The id of the newest entry that has been told. */
  lastId(stream: EventStream): string;
  /** @returns what ends it */
  subscribe(stream: EventStream, listener: (entry: StreamEntry) => void): () => void;
  close(): Promise<void>;
}

/** Every event that is appended after this has resolved is told. */
export async function openEventFeed(queues: Queues, logger: Logger): Promise<EventFeed> {
  const keys = streams.map((stream) => streamKey(queues.config, stream));
  const newest = await Promise.all(keys.map((key) => queues.redis.xrevrange(key, '+', '-', 'COUNT', 1)));
  const from = newest.map(([entry]) => entry?.[0] ?? '0');
  const listeners = { verdicts: new Set<Listener>(), results: new Set<Listener>() };
  const reader = connectRedis(queues.url, { logger });
  let closed = false;

  async function read(): Promise<void> {
    const answer = await reader.xread('COUNT', 1_000, 'BLOCK', 1_000, 'STREAMS', ...keys, ...from);
    for (const [key, entries] of answer ?? []) {
      const index = keys.indexOf(key);
      from[index] = entries.at(-1)?.[0] ?? from[index]!;
      for (const entry of entries) tell(listeners[streams[index]!], entry);
    }
  }
  function tell(told: Set<Listener>, raw: RawEntry): void {
    if (told.size === 0) return;
    const entry = readEntry(raw, logger);
    if (entry) for (const listener of told) listener(entry);
  }
  async function readUntilClosed(): Promise<void> {
    while (!closed) {
      try {
        await read();
      } catch (error) {
        if (closed) return;
        logger.warn({ err: error }, 'the event streams cannot be read; trying again');
        await sleep(1_000);
      }
    }
  }
  const reading = readUntilClosed();
  return {
    lastId: (stream) => from[streams.indexOf(stream)]!,
    subscribe(stream, listener) {
      listeners[stream].add(listener);
      return () => void listeners[stream].delete(listener);
    },
    async close() {
      closed = true;
      reader.disconnect();
      await reading;
    },
  };
}

type Listener = (entry: StreamEntry) => void;
type RawEntry = [id: string, fields: string[]];

function readEntry([id, fields]: RawEntry, logger: Logger): StreamEntry | undefined {
  const event = inspectionEventSchema.safeParse(JSON.parse(fields[1] ?? 'null'));
  if (event.success) return { id, event: event.data };
  logger.warn({ id, err: event.error }, 'an entry of an event stream is no event');
  return undefined;
}

/** The entries of a stream after the one with the id `after`, page by page. */
export async function* pastEntries(
  { redis, config }: Queues,
  stream: EventStream,
  after: string,
  logger: Logger,
): AsyncGenerator<StreamEntry> {
  for (;;) {
    const page = await redis.xrange(streamKey(config, stream), `(${after}`, '+', 'COUNT', 1_000);
    for (const raw of page) {
      const entry = readEntry(raw, logger);
      if (entry) yield entry;
    }
    if (page.length < 1_000) return;
    after = page.at(-1)![0];
  }
}

/** Whether a stream id comes after another. */
export function isAfter(id: string, other: string): boolean {
  const [ms, sequence = 0] = id.split('-').map(Number) as [number, number?];
  const [otherMs, otherSequence = 0] = other.split('-').map(Number) as [number, number?];
  return ms > otherMs || (ms === otherMs && sequence > otherSequence);
}
