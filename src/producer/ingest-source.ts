import type { Logger } from '../shared/logger.js';
import { type Cursor, type IngestKind, keepCursor, newCursor, readCursor } from './cursor.js';
import type { Producer } from './enqueue.js';
import { feedPage } from './feed.js';
import type { ImageSource } from './image-source.js';
import { addToTally, type Outcome } from './ingest-tally.js';
import { createResultLookup } from './result-lookup.js';
import { openResultWindow } from './result-window.js';
import { lastEventId } from './wait-for-results.js';

export interface SourceOptions {
  camera: string;
  kind: Exclude<IngestKind, 'poll'>;
  /** Stays until every image has a result; otherwise until all are enqueued. */
  wait: boolean;
  logger: Logger;
  /** Told where it begins. */
  onStart(cursor: Readonly<Cursor>): void;
  /** Told how many images a page names, and how many other objects. */
  onPage(images: number, skipped: number): void;
  /** Told of each outcome as it comes, in any order. */
  onOutcome(outcome: Outcome): void;
  /** Told every 30 s without a result why that may be. */
  onStall(reason: string): void;
  /** Ends it; the cursor stays where it is. */
  signal: AbortSignal;
}

/**
 * Enqueues the images of a source in the order of their keys and moves a cursor in the store behind those that have a result,
 * so that whatever is lost, Redis or this process, running it again goes on from there and does nothing twice.
 *
 * @returns the cursor; it is finished unless images are still under way.
 * @throws CAMERA_UNKNOWN or BUNDLE_NOT_FOUND before anything is enqueued.
 */
export async function ingestSource(producer: Producer, source: ImageSource, options: SourceOptions): Promise<Cursor> {
  const { store, queues, config } = producer;
  const { camera, kind, wait, logger, onStart, onPage, onOutcome, onStall, signal } = options;
  await producer.activeVersionOf(await producer.productOf(camera));
  const cursor = await beginAt(producer, source, options);
  onStart(cursor);
  const keeper = keepCursor(store, cursor, (error) => logger.warn({ err: error }, 'cursor not written; trying again'));
  const from = await lastEventId(queues);
  const window = openResultWindow({ producer, logger, from, onOutcome, onStall, signal });
  const feed = {
    ...{ producer, cursor, keeper, window, signal, results: createResultLookup(store) },
    windowSize: kind === 'backfill' ? config.limits.backfillWindow : config.limits.maxBacklog,
    onPassed: (outcome: Outcome) => addToTally(cursor.tally, outcome),
  };
  let left = Number.POSITIVE_INFINITY;
  try {
    for await (const page of source.pages(cursor.after)) {
      onPage(page.images.length, page.skipped);
      await feedPage(feed, page);
    }
    cursor.enqueuedAll = true;
    if (wait) await window.until(0);
    left = window.count();
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    keeper.stop();
    await window.close();
    if (left === 0) cursor.finishedAt = new Date().toISOString();
    await keeper.now();
  }
  return cursor;
}

/** Where an earlier run was broken off, else the beginning. */
async function beginAt(
  { store }: Producer,
  source: ImageSource,
  { camera, kind }: Pick<SourceOptions, 'camera' | 'kind'>,
): Promise<Cursor> {
  const head = { source: source.address, camera, kind, byReference: source.byReference };
  const left = await readCursor(store, head);
  if (left && left.finishedAt === undefined) return { ...left, enqueuedAll: false, resumed: left.resumed + 1 };
  // Ids of inspections hold the date of capture: it is found in the same way in every run.
  return newCursor({ ...head, times: left?.times ?? (await source.findTimes()) });
}
