import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Redis } from 'ioredis';
import { messageOf as reasonOf } from '../shared/errors.js';
import type { Logger } from '../shared/logger.js';
import { type EventStream, type Queues, streamKey } from '../shared/queues.js';
import { connectRedis } from '../shared/redis.js';
import type { SinkSettings } from '../shared/sink-settings.js';
import type { ObjectStore } from '../shared/store/object-store.js';
import { type CatchUp, createCatchUp } from './catch-up.js';
import { createDeliveries, type Deliveries } from './deliveries.js';
import { putFailed } from './failed-events.js';
import { type Inbox, openInbox, type Pace, usualPace } from './inbox.js';
import { parseMessage, passes, type SinkMessage } from './message.js';
import { advancePosition, prepareGroups } from './position.js';
import { giveSign, takeLeave } from './signs-of-life.js';
import type { Sink } from './sink.js';
import { groupOf, type StreamEntry, timeOf } from './stream-group.js';

export interface SinkContext {
  store: ObjectStore;
  queues: Queues;
  logger: Logger;
}

/** The parts of a running sink. */
interface Parts {
  settings: SinkSettings;
  store: ObjectStore;
  queues: Queues;
  logger: Logger;
  /** A connection for waiting. */
  reader: Redis;
  redis: Redis;
  /** The name of this process among those that run the sink. */
  consumer: string;
  /** By key in Redis. */
  streams: Map<string, EventStream>;
  inbox: Inbox;
  deliveries: Deliveries;
  catchUp: CatchUp;
  signal: AbortSignal;
}

/**
 * Delivers the events of the streams to one sink, each at least once, until it is closed. An entry is acknowledged when its event
 * is delivered, on the failed list, or none that the sink asks for. Processes that run the same sink share the entries.
 */
export function runSink(
  settings: SinkSettings,
  sink: Sink,
  context: SinkContext,
  pace: Pace = usualPace,
): { close(): Promise<void> } {
  const ending = new AbortController();
  const parts = assemble(settings, sink, context, pace, ending.signal);
  const { reader, redis, logger } = parts;
  const running = Promise.all([run(parts), beat(parts, pace.beatMs)]);
  return {
    async close() {
      ending.abort();
      reader.disconnect();
      if (redis.status !== 'ready') redis.disconnect(); // what waits for a Redis that is away would wait for ever
      await running
        .then(() => finish(parts))
        .catch((error) => logger.warn({ reason: reasonOf(error) }, 'not everything could be handed on'));
      redis.disconnect();
      await sink.close();
    },
  };
}

function assemble(
  settings: SinkSettings,
  sink: Sink,
  { store, queues, logger: parent }: SinkContext,
  pace: Pace,
  signal: AbortSignal,
): Parts {
  const { name, backoffMs, events } = settings;
  const logger = parent.child({ sink: name });
  const reader = connectRedis(queues.url, { logger });
  const redis = connectRedis(queues.url, { logger });
  const streams = new Map(events.map((stream) => [streamKey(queues.config, stream), stream]));
  const consumer = `${hostname()}-${process.pid}-${randomBytes(4).toString('hex')}`;
  const inbox = openInbox({ redis, reader, streams: [...streams.keys()], group: groupOf(name), consumer, pace });
  const deliveries = createDeliveries(sink, {
    backoffMs,
    putFailed: (message, reason) => putFailed(store, name, message, reason),
    logger,
    signal,
  });
  const catchUp = createCatchUp(settings, { store, deliveries, logger, signal });
  return { settings, store, queues, logger, reader, redis, consumer, streams, inbox, deliveries, catchUp, signal };
}

/** Hands on what was read and not delivered. */
async function finish({ settings, store, queues, redis, consumer, inbox, deliveries, catchUp }: Parts): Promise<void> {
  await Promise.all([deliveries.ended(), catchUp.ended()]);
  await inbox.release();
  await takeLeave(redis, queues.config, settings.name, consumer);
  await advancePosition(settings, { store, redis, queue: queues.config });
}

/** Follows the streams; whatever goes wrong, such as a Redis that came back empty, it starts again from its position. */
async function run(parts: Parts): Promise<void> {
  const { settings, store, queues, logger, redis, inbox, catchUp, signal } = parts;
  await catchUp.resume().catch(() => undefined); // it tries until the sink is closed
  while (!signal.aborted) {
    try {
      await prepareGroups(settings, { store, redis, queue: queues.config }, catchUp.add);
      while (!signal.aborted) {
        const { entries, trimmed } = await inbox.next();
        for (const { stream, from, until } of trimmed) {
          logger.error({ stream, from, until }, 'the stream dropped events before this sink had read them');
          await catchUp.add({ stream: parts.streams.get(stream)!, fromMs: timeOf(from), untilMs: timeOf(until) });
        }
        for (const entry of entries) await take(entry, parts);
      }
    } catch (error) {
      if (signal.aborted) return;
      logger.warn({ reason: reasonOf(error) }, 'cannot follow the streams; trying again');
      await sleep(settings.backoffMs, undefined, { signal }).catch(() => undefined);
    }
  }
}

/** Starts the delivery of an entry's event as soon as there is room. Never rejects: the entries behind it would be forgotten. */
async function take(entry: StreamEntry, { settings, streams, inbox, deliveries, logger }: Parts): Promise<void> {
  const acknowledge = () =>
    inbox.acknowledge(entry).catch((error) => {
      logger.warn({ reason: reasonOf(error) }, 'cannot acknowledge an event: it will be told again');
    });
  let message: SinkMessage;
  try {
    message = parseMessage(streams.get(entry.stream)!, entry.event ?? '');
  } catch (error) {
    logger.error({ ...entry, reason: reasonOf(error) }, 'an entry of the stream is no event: left out');
    return acknowledge();
  }
  if (!passes(settings.filter, message.event)) return acknowledge();
  await deliveries.room();
  void deliveries.start(message).then((settled) => (settled ? acknowledge() : undefined));
}

/** What goes on beside the deliveries, also while none of them ends: signs of life do not wait for a slow store. */
async function beat(parts: Parts, beatMs: number): Promise<void> {
  const { settings, store, queues, redis, consumer, inbox, deliveries } = parts;
  await Promise.all([
    repeat(parts, beatMs, async () => {
      await inbox.touch();
      await giveSign(redis, queues.config, { sink: settings.name, consumer, trouble: deliveries.trouble() });
    }),
    repeat(parts, beatMs, () => advancePosition(settings, { store, redis, queue: queues.config })),
  ]);
}

async function repeat({ logger, signal }: Parts, pauseMs: number, work: () => Promise<void>): Promise<void> {
  while (!signal.aborted) {
    try {
      await work();
    } catch (error) {
      if (!signal.aborted) logger.warn({ reason: reasonOf(error) }, 'cannot say how far the sink is; trying again');
    }
    await sleep(pauseMs, undefined, { signal }).catch(() => undefined);
  }
}
