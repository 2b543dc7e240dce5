import pRetry from 'p-retry';
import { messageOf as reasonOf } from '../shared/errors.js';
import type { Logger } from '../shared/logger.js';
import { listInspections, readResult } from '../shared/results.js';
import type { SinkSettings } from '../shared/sink-settings.js';
import type { ObjectStore } from '../shared/store/object-store.js';
import type { Deliveries } from './deliveries.js';
import { deleteGap, type Gap, listGaps, putGap } from './gaps.js';
import { kindOf, messageOf, passes } from './message.js';
import { missedEvent } from './missed-event.js';

export interface CatchUpContext {
  store: ObjectStore;
  deliveries: Deliveries;
  logger: Logger;
  signal: AbortSignal;
}

export interface CatchUp {
  /** Takes up gaps that an earlier process left. */
  resume(): Promise<void>;
  /** Resolves when the gap is written down, which is tried until it works; it is closed beside what the streams bring. */
  add(gap: Gap): Promise<void>;
  /** Resolves when nothing is under way. */
  ended(): Promise<void>;
}

/** Closes the gaps of a sink one after the other; gaps of a stream that wait for their turn become one. */
export function createCatchUp(settings: SinkSettings, context: CatchUpContext): CatchUp {
  const { store, logger, signal } = context;
  const { name, backoffMs } = settings;
  const waiting: Gap[] = [];
  let working: Promise<void> | undefined;
  const forEver = { retries: Number.POSITIVE_INFINITY, minTimeout: backoffMs, maxTimeout: 30_000, signal };
  const untilItWorks = <T>(work: () => Promise<T>): Promise<T> =>
    pRetry(work, {
      ...forEver,
      onFailedAttempt: ({ error }) => logger.error({ reason: reasonOf(error) }, 'missed events: failed, trying again'),
    });

  async function work(): Promise<void> {
    for (let gap = waiting.shift(); gap; gap = waiting.shift()) {
      const current = gap;
      const count = await untilItWorks(() => closeGap(current, settings, context));
      if (count === undefined) return;
      logger.info({ ...describe(gap), events: count }, 'missed events were told from the results in the store');
    }
  }

  function start(): void {
    working ??= work()
      .catch((error) => {
        if (!signal.aborted) throw error;
      })
      .finally(() => {
        working = undefined;
      });
  }

  return {
    async resume() {
      waiting.push(...(await untilItWorks(() => listGaps(store, name))));
      start();
    },
    async add(gap) {
      logger.warn(describe(gap), 'this sink may have missed events: they will be told from the results in the store');
      const other = waiting.find(({ stream }) => stream === gap.stream);
      const whole = other ? union(gap, other) : gap;
      await untilItWorks(() => putGap(store, name, whole));
      const at = other ? waiting.indexOf(other) : -1;
      if (at < 0) waiting.push(whole);
      else {
        waiting[at] = whole;
        await deleteGap(store, name, other!);
      }
      start();
    },
    async ended() {
      await working;
    },
  };
}

const union = (one: Gap, other: Gap): Gap => ({
  stream: one.stream,
  fromMs: Math.min(one.fromMs, other.fromMs),
  untilMs: Math.max(one.untilMs, other.untilMs),
});

const describe = ({ stream, fromMs, untilMs }: Gap) => ({
  stream,
  from: new Date(fromMs).toISOString(),
  until: new Date(untilMs).toISOString(),
});

/** How far the clocks of Redis and of the store may be apart, and a result and its event. */
const slackMs = 60_000;
/** How long after its verdict a result may be written. */
const explainingMs = 3_600_000;

function isWithin({ stream, fromMs, untilMs }: Gap, modifiedAt: Date): boolean {
  const time = modifiedAt.getTime();
  return time >= fromMs - slackMs && time <= untilMs + (stream === 'verdicts' ? explainingMs : slackMs);
}

/**
 * Delivers the events of a gap from the results in the store. All of them are listed, whatever their date of capture: which
 * results fall into a time is told by when they were written.
 *
 * @returns how many events were delivered; undefined where the signal ended it before all were.
 */
async function closeGap(
  gap: Gap,
  { name, filter }: SinkSettings,
  { store, deliveries, logger, signal }: CatchUpContext,
): Promise<number | undefined> {
  const running = new Set<Promise<unknown>>();
  let count = 0;
  for await (const { inspectionId, modifiedAt } of listInspections(store)) {
    if (signal.aborted) return undefined;
    if (!isWithin(gap, modifiedAt)) continue;
    const result = await readResult(store, inspectionId).catch((error: unknown) => {
      logger.error({ inspectionId, reason: reasonOf(error) }, 'a result cannot be read: its event stays missed');
      return undefined;
    });
    const event = result && missedEvent(gap.stream, result);
    if (!event || !passes(filter, event)) continue;
    await deliveries.room();
    const delivery = deliveries.start(messageOf(kindOf[gap.stream], event)).finally(() => running.delete(delivery));
    running.add(delivery);
    count++;
  }
  await Promise.all(running);
  if (signal.aborted) return undefined;
  await deleteGap(store, name, gap);
  return count;
}
