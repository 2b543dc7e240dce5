import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { configSchema } from '../../src/shared/config.js';
import type { InspectionEvent, InspectionResult } from '../../src/shared/contracts.js';
import { resultKey } from '../../src/shared/keys.js';
import { createLogger } from '../../src/shared/logger.js';
import { type EventStream, openQueues, publish, type Queues, streamKey } from '../../src/shared/queues.js';
import type { SinkSettings } from '../../src/shared/sink-settings.js';
import { type ObjectStore, putJson } from '../../src/shared/store/object-store.js';
import { openStore } from '../../src/shared/store/open-store.js';
import { listFailed } from '../../src/sinks/failed-events.js';
import { missedEvent } from '../../src/sinks/missed-event.js';
import { runSink } from '../../src/sinks/run-sink.js';
import { openSink } from '../../src/sinks/sink.js';
import { type SinkStatus, statusOf } from '../../src/sinks/sink-status.js';
import { failedResult, scoredResult } from './scored-result.js';

/** The result of the n-th inspection: good, anomalous and failed in turn. */
export function resultNumber(n: number): InspectionResult {
  const own = { inspectionId: `i-20260131-${n.toString(16).padStart(24, '0')}`, imageKey: `images/line-1/${n}.png` };
  if (n % 3 === 2) return { ...failedResult, ...own };
  return { ...scoredResult, ...own, verdict: n % 3 === 0 ? 'good' : 'anomalous' };
}

export const eventNumber = (stream: EventStream, n: number): InspectionEvent => missedEvent(stream, resultNumber(n))!;

export interface SinkLine {
  store: ObjectStore;
  queues: Queues;
  /** Publishes the events of inspections `from` to `to - 1`, and writes their results where `stored` asks for it. */
  inspect(from: number, to: number, options?: { streams?: EventStream[]; stored?: boolean }): Promise<void>;
  /** Runs a sink until it, or the line, is closed. */
  run(settings: SinkSettings, pace?: { takeOverMs: number }): Promise<{ close(): Promise<void> }>;
  status(settings: SinkSettings): Promise<SinkStatus>;
  /** Entries that no process has acknowledged or read. */
  open(settings: SinkSettings): Promise<number>;
  failed(settings: SinkSettings): Promise<string[]>;
  trim(stream: EventStream, length: number): Promise<void>;
  close(): Promise<void>;
}

const bothStreams: EventStream[] = ['verdicts', 'results'];

/** The configured form of one sink. */
export const settingsOf = (settings: object): SinkSettings =>
  configSchema.parse({ sinks: [{ name: 'mes', backoffMs: 20, ...settings }] }).sinks[0]!;

/** Streams, a store and sinks that look after what others left within a moment. */
export async function openSinkLine(redisUrl: string, directory?: string): Promise<SinkLine> {
  const own = directory ?? (await mkdtemp(join(tmpdir(), 'patchline-sinks-')));
  const store = await openStore(own);
  const prefix = `test-${randomBytes(6).toString('hex')}`;
  const logger = createLogger('silent');
  const queues = openQueues(redisUrl, configSchema.parse({ queue: { prefix } }).queue, logger);
  const running = new Set<{ close(): Promise<void> }>();
  const status = (settings: SinkSettings) => statusOf(settings, { store, queues });
  return {
    store,
    queues,
    async inspect(from, to, { streams = bothStreams, stored = false } = {}) {
      for (let n = from; n < to; n++) {
        const result = resultNumber(n);
        if (stored) await putJson(store, resultKey(result.inspectionId), result);
        for (const stream of streams) await publish(queues, stream, eventNumber(stream, n));
      }
    },
    async run(settings, { takeOverMs } = { takeOverMs: 400 }) {
      const sink = await openSink(settings, { logger, queuesUrl: redisUrl, prefix });
      const pace = { blockMs: 100, takeOverMs, beatMs: 50 };
      const sinkRun = runSink(settings, sink, { store, queues, logger }, pace);
      const one = {
        async close() {
          if (running.delete(one)) await sinkRun.close();
        },
      };
      running.add(one);
      return one;
    },
    status,
    async open(settings) {
      const { streams } = await status(settings);
      return streams.reduce((sum, { waiting, underWay }) => sum + (waiting ?? Number.NaN) + underWay, 0);
    },
    async failed(settings) {
      const deliveries: string[] = [];
      for await (const delivery of listFailed(store, settings.name)) deliveries.push(delivery);
      return deliveries;
    },
    async trim(stream, length) {
      await queues.redis.xtrim(streamKey(queues.config, stream), 'MAXLEN', length);
    },
    async close() {
      await Promise.all([...running].map((each) => each.close()));
      await queues.close();
      await rm(own, { recursive: true, force: true });
    },
  };
}
