import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf, PatchlineError } from '../shared/errors.js';
import type { Logger } from '../shared/logger.js';
import { type Cursor, isUnseen, keepCursor, newCursor, readCursor } from './cursor.js';
import type { Producer } from './enqueue.js';
import { type Feed, feedPage } from './feed.js';
import type { ImageSource } from './image-source.js';
import type { Outcome } from './ingest-tally.js';
import { createResultLookup } from './result-lookup.js';
import { openResultWindow } from './result-window.js';
import { lastEventId } from './wait-for-results.js';

export interface PollOptions {
  camera: string;
  /** Pause between two looks. */
  everyMs: number;
  /** How often it lists from the first key again, for images whose keys sort before others that came earlier. */
  sweepEveryMs: number;
  logger: Logger;
  onOutcome(outcome: Outcome): void;
  signal: AbortSignal;
}

/** How far the listing is, ahead of the cursor, which waits for results. */
interface Position {
  listedTo: string | undefined;
  passStartedAt: string;
  seenUntil: string | undefined;
}

/**
 * Looks for new images behind a cursor until it is ended. What cannot be done for now, because the store is away or the product has
 * no bundle, is tried again at the next look.
 */
export async function pollSource(producer: Producer, source: ImageSource, options: PollOptions): Promise<void> {
  const { everyMs, sweepEveryMs, logger, onOutcome, signal } = options;
  const cursor = await retrying(options, () => beginAt(producer, source, options.camera));
  if (!cursor) return;
  const keeper = keepCursor(producer.store, cursor, (error) => logger.warn({ err: error }, 'cursor not written'));
  const from = await lastEventId(producer.queues);
  const onStall = (reason: string) => logger.warn({ source: source.address }, reason);
  const window = openResultWindow({ producer, logger, from, onOutcome, onStall, signal });
  const feed: Feed = {
    ...{ producer, cursor, keeper, window, signal, onPassed() {} },
    results: createResultLookup(producer.store),
    windowSize: producer.config.limits.maxBacklog,
  };
  const position: Position = {
    listedTo: cursor.after,
    passStartedAt: cursor.passStartedAt!,
    seenUntil: cursor.seenUntil,
  };
  try {
    while (!signal.aborted) {
      await retrying(options, () => listNew(feed, source, position));
      if (Date.now() - Date.parse(position.passStartedAt) >= sweepEveryMs) beginPass(feed, position);
      else await sleep(everyMs, undefined, { signal }).catch(() => undefined);
    }
  } finally {
    keeper.stop();
    await window.close();
    await keeper.now();
  }
}

async function beginAt({ store }: Producer, source: ImageSource, camera: string): Promise<Cursor> {
  const head = { source: source.address, camera, kind: 'poll' as const, byReference: source.byReference };
  const left = await readCursor(store, head);
  if (left) return { ...left, resumed: left.resumed + 1 };
  const cursor = newCursor({ ...head, times: await source.findTimes() });
  return { ...cursor, passStartedAt: cursor.startedAt };
}

async function listNew(feed: Feed, source: ImageSource, position: Position): Promise<void> {
  for await (const page of source.pages(position.listedTo)) {
    const { seenUntil } = position;
    await feedPage(feed, { ...page, images: page.images.filter((image) => isUnseen({ seenUntil }, image)) });
    position.listedTo = page.lastKey;
  }
}

/** From the first key again. What has been listed counts as seen only when all before has its result. */
function beginPass({ cursor, keeper, window }: Feed, position: Position): void {
  const startedAt = new Date().toISOString();
  const { passStartedAt } = position;
  Object.assign(position, { listedTo: undefined, passStartedAt: startedAt, seenUntil: passStartedAt });
  window.add([
    {
      passed() {
        cursor.seenUntil = passStartedAt;
        cursor.passStartedAt = startedAt;
        delete cursor.after;
        keeper.soon();
      },
    },
  ]);
}

/** Undefined where it was ended meanwhile. */
async function retrying<T>({ everyMs, logger, signal }: PollOptions, work: () => Promise<T>): Promise<T | undefined> {
  while (!signal.aborted) {
    try {
      return await work();
    } catch (error) {
      if (signal.aborted) return undefined;
      if (!(error instanceof PatchlineError)) throw error;
      logger.warn({ code: error.code }, `${messageOf(error)}; trying again`);
      await sleep(everyMs, undefined, { signal }).catch(() => undefined);
    }
  }
  return undefined;
}
