import { setTimeout as sleep } from 'node:timers/promises';
import { codeOf, PatchlineError, messageOf as reasonOf } from '../shared/errors.js';
import type { Logger } from '../shared/logger.js';
import type { SinkMessage } from './message.js';
import type { Sink } from './sink.js';

const longestPauseMs = 30_000;

export interface DeliveriesOptions {
  backoffMs: number;
  /** Puts an event that was refused on the failed list. */
  putFailed(message: SinkMessage, reason: string): Promise<void>;
  logger: Logger;
  /** Ends all waiting: what is not delivered by then stays where it came from. */
  signal: AbortSignal;
}

export interface Deliveries {
  /** Resolves when one more event may be started. */
  room(): Promise<void>;
  /** Resolves to true when the event is delivered or on the failed list, to false when the signal ended it. Never rejects. */
  start(message: SinkMessage): Promise<boolean>;
  /** Resolves when nothing is under way. */
  ended(): Promise<void>;
  /** Why nothing is delivered at the moment, undefined where all is well. */
  trouble(): Trouble | undefined;
}

export interface Trouble {
  since: string;
  reason: string;
}

/** Keeps as many events under way as a sink takes, and pauses all of them while its receiver is away, for as long as that takes. */
export function createDeliveries(sink: Sink, { backoffMs, putFailed, logger, signal }: DeliveriesOptions): Deliveries {
  const running = new Set<Promise<boolean>>();
  let failures = 0;
  let pause: Promise<void> | undefined;
  let trouble: Trouble | undefined;

  /** The events that fail together share one pause. */
  function hold(error: unknown): void {
    if (pause) return;
    const reason = reasonOf(error);
    if (!trouble) logger.warn({ reason }, 'events wait: the receiver takes none; trying again until it does');
    trouble = { since: trouble?.since ?? new Date().toISOString(), reason };
    const asked = error instanceof PatchlineError ? (error.details.retryAfterMs as number | undefined) : undefined;
    const backoff = Math.min(backoffMs * 2 ** failures++, longestPauseMs) * (0.5 + Math.random() / 2);
    pause = sleep(asked ?? backoff, undefined, { signal })
      .catch(() => undefined)
      .then(() => {
        pause = undefined;
      });
  }

  async function attempt(message: SinkMessage): Promise<void> {
    try {
      await sink.deliver(message, signal);
    } catch (error) {
      if (codeOf(error) !== 'SINK_REFUSED' || signal.aborted) throw error;
      logger.error({ delivery: message.delivery, reason: reasonOf(error) }, 'refused: put on the failed list');
      await putFailed(message, reasonOf(error));
    }
    if (trouble) logger.warn({ since: trouble.since }, 'the receiver takes events again');
    failures = 0;
    trouble = undefined;
  }

  async function settle(message: SinkMessage): Promise<boolean> {
    while (!signal.aborted) {
      if (pause) {
        await pause;
        continue;
      }
      try {
        await attempt(message);
        return true;
      } catch (error) {
        if (!signal.aborted) hold(error);
      }
    }
    return false;
  }

  return {
    async room() {
      while (running.size >= sink.atOnce && !signal.aborted) await Promise.race(running);
    },
    start(message) {
      const delivery = settle(message).finally(() => running.delete(delivery));
      running.add(delivery);
      return delivery;
    },
    async ended() {
      await Promise.all(running);
    },
    trouble: () => trouble,
  };
}
