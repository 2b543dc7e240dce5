import pRetry from 'p-retry';
import { codeOf, messageOf as reasonOf } from '../shared/errors.js';
import type { ObjectStore } from '../shared/store/object-store.js';
import { dropFailed, type FailedEvent, putFailed } from './failed-events.js';
import type { Sink } from './sink.js';

export interface RetryReport {
  delivered: number;
  refused: { delivery: string; reason: string }[];
}

/** Delivers events of a sink's failed list once more; those that are refused again stay on it. @throws SINK_UNREACHABLE */
export async function retryFailed(
  store: ObjectStore,
  { name, sink, backoffMs }: { name: string; sink: Sink; backoffMs: number },
  events: AsyncIterable<FailedEvent>,
): Promise<RetryReport> {
  const report: RetryReport = { delivered: 0, refused: [] };
  const { signal } = new AbortController();
  for await (const { delivery, kind, event } of events) {
    const message = { delivery, kind, event };
    try {
      await pRetry(() => sink.deliver(message, signal), {
        retries: 4, // a connection may only be on its way
        minTimeout: backoffMs,
        shouldRetry: ({ error }) => codeOf(error) === 'SINK_UNREACHABLE',
      });
      await dropFailed(store, name, delivery);
      report.delivered++;
    } catch (error) {
      if (codeOf(error) !== 'SINK_REFUSED') throw error;
      const reason = reasonOf(error);
      await putFailed(store, name, message, reason);
      report.refused.push({ delivery, reason });
    }
  }
  return report;
}
