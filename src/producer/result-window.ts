import { setTimeout as sleep } from 'node:timers/promises';
import pMap from 'p-map';
import type { Inspection, InspectionEvent } from '../shared/contracts.js';
import { PatchlineError } from '../shared/errors.js';
import type { Logger } from '../shared/logger.js';
import { streamKey } from '../shared/queues.js';
import { connectRedis } from '../shared/redis.js';
import { hasResult, readResult } from '../shared/results.js';
import type { Producer } from './enqueue.js';
import type { Finding, Outcome } from './ingest-tally.js';
import { createOrderedPlaces, type OrderedPlaces, type Place } from './ordered-places.js';
import { createResultLookup } from './result-lookup.js';
import { settleImage, type Versions, versionsOf } from './settle.js';
import { explainStall, readEvents } from './wait-for-results.js';

export interface WindowOptions {
  producer: Producer;
  logger: Logger;
  /** Where in the stream of results to begin: `lastEventId` from before the first image was enqueued. */
  from: string;
  /** Told of each outcome as it comes, in any order. */
  onOutcome(outcome: Outcome): void;
  /** Told every 30 s without a result why that may be. */
  onStall(reason: string): void;
  signal?: AbortSignal;
}

/** The images of an ingest that are under way. */
export interface ResultWindow {
  add(places: readonly Place[]): void;
  /** Gives an awaited inspection an outcome that no event tells. */
  settle(inspectionId: string, outcome: Outcome): void;
  /**
   * Finds the results of what may have been enqueued before, and enqueues what has neither result nor job.
   *
   * @returns how many results it found
   */
  lookFor(inspectionIds: readonly string[]): Promise<number>;
  /** Places that have not passed. */
  count(): number;
  /** Waits until no more than `count` places are left. Errors: what keeps results from being followed; AbortError. */
  until(count: number): Promise<void>;
  close(): Promise<void>;
}

/**
 * Follows the results of images and passes their places in order. What has lost its job is enqueued again, so that a lost
 * Redis costs no image.
 */
export function openResultWindow(options: WindowOptions): ResultWindow {
  const { signal, logger } = options;
  const places = createOrderedPlaces();
  const closing = new AbortController();
  let fault: unknown;
  let wake = () => {};
  const changed = () => {
    places.pass();
    wake();
  };
  const lookFor = async (ids: readonly string[]) => {
    const found = await lookForResults(options, places, ids, closing.signal);
    changed();
    return found;
  };
  const following = follow(options, places, { changed, lookFor, signal: closing.signal }).catch((error: unknown) => {
    if (closing.signal.aborted) return;
    logger.error({ err: error }, 'results are no longer followed');
    fault = error;
    wake();
  });
  const onAbort = () => wake();
  signal?.addEventListener('abort', onAbort);
  return {
    add(added) {
      places.add(added);
      for (const { outcome } of added) if (outcome) options.onOutcome(outcome);
      changed();
    },
    settle(inspectionId, outcome) {
      if (!places.settle(inspectionId, outcome)) return;
      options.onOutcome(outcome);
      changed();
    },
    lookFor,
    count: () => places.count(),
    async until(count) {
      while (places.count() > count) {
        signal?.throwIfAborted();
        if (fault !== undefined) throw fault;
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    },
    async close() {
      signal?.removeEventListener('abort', onAbort);
      closing.abort();
      await following;
    },
  };
}

/** Time without a result after which store and jobs are looked at; it doubles as long as that finds nothing. */
const firstLookMs = 5_000;
const longestLookMs = 60_000;
const stallMs = 30_000;

interface Following {
  changed(): void;
  lookFor: ResultWindow['lookFor'];
  signal: AbortSignal;
}

/** Reads the stream of results. Events may be lost with Redis, results are not: where none comes, the store is asked. */
async function follow(options: WindowOptions, places: OrderedPlaces, following: Following): Promise<void> {
  const { producer, logger, onStall } = options;
  const { queues } = producer;
  const reader = connectRedis(queues.url, { logger });
  following.signal.addEventListener('abort', () => reader.disconnect());
  let { from } = options;
  let [newsAt, toldAt, lookedAt] = [Date.now(), Date.now(), Date.now()];
  let lookMs = firstLookMs;
  while (!following.signal.aborted) {
    const news = await readEvents(reader, streamKey(queues.config, 'results'), from);
    from = news.from;
    try {
      let taken = 0;
      for (const event of news.events) if (await take(options, places, event)) taken++;
      if (taken > 0) following.changed();
      else if (places.awaited.size > 0 && Date.now() - Math.max(newsAt, lookedAt) > lookMs) {
        taken = await following.lookFor([...places.awaited.keys()]);
        lookedAt = Date.now();
        lookMs = Math.min(2 * lookMs, longestLookMs);
      }
      if (taken > 0 || places.awaited.size === 0) {
        newsAt = Date.now();
        lookMs = firstLookMs;
      }
      if (Date.now() - Math.max(newsAt, toldAt) > stallMs) {
        onStall(await explainStall(queues, new Set(places.awaited.keys())));
        toldAt = Date.now();
      }
    } catch (error) {
      if (!(error instanceof PatchlineError && error.retryable)) throw error;
      logger.warn({ err: error }, 'results cannot be looked for; trying again');
      await sleep(1_000, undefined, { signal: following.signal });
    }
  }
}

/** Whether the event brought the result of an awaited image. */
async function take(options: WindowOptions, places: OrderedPlaces, event: InspectionEvent): Promise<boolean> {
  const { status, inspectionId } = event;
  if (status === null || !places.awaited.has(inspectionId)) return false;
  // A failure is told before its result is written; if that is still to come, a later look finds it.
  if (status === 'failed' && !(await hasResult(options.producer.store, inspectionId))) return false;
  return settle(options, places, inspectionId, { ...event, status });
}

function settle({ onOutcome }: WindowOptions, places: OrderedPlaces, inspectionId: string, finding: Finding): boolean {
  const outcome: Outcome = { kind: 'result', finding };
  if (!places.settle(inspectionId, outcome)) return false;
  onOutcome(outcome);
  return true;
}

/** @returns how many results were found */
async function lookForResults(
  options: WindowOptions,
  places: OrderedPlaces,
  ids: readonly string[],
  signal: AbortSignal,
): Promise<number> {
  const { producer } = options;
  const finished = await createResultLookup(producer.store).among(ids);
  let versions: Promise<Versions> | undefined;
  const lookFor = async (id: string): Promise<boolean> => {
    const inspection = places.awaited.get(id)?.inspection;
    if (!inspection || signal.aborted) return false;
    let found = inspection;
    if (!finished.has(id)) {
      versions ??= versionsOf(producer, inspection.camera!);
      found = await bringOnItsWay(producer, inspection, await versions);
    }
    if (found.inspectionId !== id) places.replace(id, found);
    const finding = await readResult(producer.store, found.inspectionId);
    return finding !== undefined && settle(options, places, found.inspectionId, finding);
  };
  const found = await pMap(ids, lookFor, { concurrency: 8 });
  return found.filter(Boolean).length;
}

/** The inspection by which an image counts as inspected or under way, enqueued where there was none. */
async function bringOnItsWay(producer: Producer, inspection: Inspection, versions: Versions): Promise<Inspection> {
  const { imageKey, camera, capturedAt, process, priority } = inspection;
  const image = { imageKey, camera: camera!, capturedAt, ...(process && { process }) };
  return (await settleImage(producer, image, versions, priority)).inspection;
}
