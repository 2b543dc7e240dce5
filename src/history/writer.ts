import { setTimeout as sleep } from 'node:timers/promises';
import type { Config } from '../shared/config.js';
import { dateOf } from '../shared/keys.js';
import type { Logger } from '../shared/logger.js';
import type { Queues } from '../shared/queues.js';
import { connectRedis } from '../shared/redis.js';
import type { ObjectStore } from '../shared/store/object-store.js';
import { missingRows } from './catch-up.js';
import { batchLength, recordInspections } from './record.js';
import { type ResultEvent, type ResultEvents, readResultEvents } from './result-events.js';
import { type History, openOrCreateHistory } from './table.js';
import { keepUp } from './upkeep.js';

export interface HistoryWriterOptions {
  store: ObjectStore;
  queues: Queues;
  config: Config;
  logger: Logger;
}

export interface HistoryWriter {
  /** Writes what it has taken from the stream, then ends. */
  close(): Promise<void>;
}

const dayMs = 86_400_000;
const pauseMs = 2_000;
const batchesBetweenLooks = 20;
/** After this time without an answer of Redis, closing no longer waits for one. */
const closeLimitMs = 5_000;

/**
 * Keeps history: first compares it with the store, the last days only where Redis remembers what has been read, then writes a row for
 * each event of the stream `results`. An event is acknowledged when its row is committed, and a row is written over its like, so that
 * a writer that dies at any moment loses nothing and leaves nothing twice. What fails is tried again until it succeeds.
 */
export function startHistoryWriter(options: HistoryWriterOptions): HistoryWriter {
  const { queues, config, logger } = options;
  const redis = connectRedis(queues.url, { logger });
  const ending = new AbortController();
  const events = readResultEvents(redis, config.queue);
  const running = (async () => {
    while (!ending.signal.aborted) {
      try {
        await work({ ...options, events, signal: ending.signal });
      } catch (error) {
        if (ending.signal.aborted) break;
        logger.warn({ err: error }, 'history not written; trying again');
        events.rewind();
        await sleep(pauseMs, undefined, { signal: ending.signal }).catch(() => undefined);
      }
    }
    await events.leave().catch((error) => logger.warn({ err: error }, 'history consumer not removed'));
  })();
  return {
    async close() {
      ending.abort();
      const limit = setTimeout(() => redis.disconnect(), closeLimitMs);
      await running;
      clearTimeout(limit);
      redis.disconnect();
    },
  };
}

interface Work extends HistoryWriterOptions {
  events: ResultEvents;
  signal: AbortSignal;
}

/** Until it is asked to end, or something fails: the group may then be gone with Redis, or the table. */
async function work(options: Work): Promise<void> {
  const { store, events, signal } = options;
  const history = await openOrCreateHistory(store);
  const since = (await events.isKnown()) ? lastDays(options.config) : '';
  const last = await events.lastEntry(); // before the store is read: what is told meanwhile comes as an event
  await catchUp(options, history, since);
  if (signal.aborted) return;
  await events.join(last); // not before: a writer that died in between would take it for done
  await keepUp(history);
  for (let batch = 1; !signal.aborted; batch++) {
    const taken = await events.next(batchLength, signal);
    if (taken.length === 0) continue;
    await record(options, history, idsOf(taken, options.logger));
    await events.acknowledge(taken);
    if (batch % batchesBetweenLooks === 0) await keepUp(history);
  }
}

const lastDays = ({ history }: Config): string =>
  dateOf(new Date(Date.now() - history.catchUpDays * dayMs).toISOString());

/** @param since UTC date of capture, yyyy-mm-dd; '' for all */
async function catchUp(options: Work, history: History, since: string): Promise<void> {
  const { store, logger, signal } = options;
  let ids: string[] = [];
  let total = 0;
  const flush = async () => {
    total += ids.length;
    await record(options, history, ids);
    ids = [];
  };
  for await (const id of missingRows({ store, history }, since)) {
    if (signal.aborted) return;
    if (ids.push(id) === batchLength) await flush();
  }
  await flush();
  if (total > 0) logger.info({ since, inspections: total }, 'history caught up');
}

async function record({ store, logger }: Work, history: History, ids: string[]): Promise<void> {
  const { unreadable } = await recordInspections({ store, history }, ids);
  for (const { inspectionId, message } of unreadable) {
    logger.error({ inspectionId, reason: message }, 'no row of history: the result cannot be read');
  }
}

function idsOf(taken: readonly ResultEvent[], logger: Logger): string[] {
  const ids = taken.map(({ inspectionId }) => inspectionId).filter((id) => id !== undefined);
  if (ids.length < taken.length)
    logger.warn({ entries: taken.length - ids.length }, 'entries of results without an event');
  return ids;
}
