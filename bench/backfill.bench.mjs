import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { createProducer } from '../dist/producer/enqueue.js';
import { openSource } from '../dist/producer/image-source.js';
import { ingestOriginal } from '../dist/producer/ingest.js';
import { ingestSource } from '../dist/producer/ingest-source.js';
import { atPace, simulateLine, writeSimulatedDataset } from '../dist/producer/simulated-camera.js';
import { waitForEvents } from '../dist/producer/wait-for-results.js';
import { configSchema } from '../dist/shared/config.js';
import { startEmbeddedRedis } from '../dist/shared/embedded-redis.js';
import { median, quantile } from '../dist/shared/kernels/quantile.js';
import { createLogger } from '../dist/shared/logger.js';
import { openQueues, streamKey } from '../dist/shared/queues.js';
import { putJson } from '../dist/shared/store/object-store.js';
import { openStore } from '../dist/shared/store/open-store.js';

const command = join(import.meta.dirname, '../bin/patchline.cjs');
const logger = createLogger('warn');
const camera = 'line-1';
const keys = 100_000;
/** Live images a second, how many in each measurement, and measurements of each kind. */
const live = { rate: 4, images: 60, rounds: 3 };
const archive = { images: 6_000, defectRate: 0.05, distinct: 120 };

/** Writes files into a store's folder `archive/`, a hundred for each day. @param {string} store @param {(i: number) => Uint8Array | string} bytes @param {number} count */
function writeArchive(store, bytes, count) {
  for (let i = 0; i < count; i++) {
    const day = new Date(Date.UTC(2020, 0, 1 + Math.floor(i / 100))).toISOString().slice(0, 10);
    const path = join(store, 'archive', day, `part-${String(i % 100).padStart(4, '0')}.jpg`);
    if (i % 100 === 0) mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, bytes(i));
  }
}

/** Seconds until all keys are enqueued, the window wide open and nobody at work. @param {string} directory */
async function enqueueAll(directory) {
  writeArchive(directory, () => 'x', keys);
  const redis = await startEmbeddedRedis(directory, { logger, onRestart() {} });
  const limits = { backfillWindow: 10 * keys, maxBacklog: 10 * keys };
  const config = configSchema.parse({ limits, cameras: { [camera]: { product: 'plate' } } });
  const queues = openQueues(redis.url, config.queue, logger);
  const store = await openStore(directory);
  await putJson(store, 'bundles/plate/active.json', { version: 'v1' });
  const source = await openSource(store, join(directory, 'archive'), camera, config.limits);
  const startedAt = performance.now();
  await ingestSource(createProducer(store, queues, config), source, {
    ...{ camera, kind: 'backfill', wait: false, logger, signal: new AbortController().signal },
    ...{ onStart() {}, onPage() {}, onOutcome() {}, onStall() {} },
  });
  const seconds = (performance.now() - startedAt) / 1000;
  const enqueued = await queues.queue.score.getPrioritizedCount();
  if (enqueued !== keys) throw new Error(`Expected ${keys} jobs but ${enqueued} were enqueued`);
  await queues.close();
  await redis.stop();
  return seconds;
}

/** Starts a command and waits until it prints a text. @param {string[]} args @param {string} text */
async function start(args, text) {
  const child = spawn(process.execPath, [command, ...args], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { ...process.env, PATCHLINE_LIMITS_BACKFILL_WINDOW: '200' }, // what is left in Redis at the end of a run is soon done
  });
  let printed = '';
  child.stderr.on('data', (piece) => {
    printed += piece;
  });
  while (!printed.includes(text)) {
    if (child.exitCode !== null) throw new Error(`patchline ${args.join(' ')} ended: ${printed}`);
    await Promise.race([once(child.stderr, 'data'), once(child, 'close')]);
  }
  return {
    async stop() {
      child.kill('SIGTERM');
      if (child.exitCode === null) await once(child, 'close');
    },
  };
}

/**
 * Milliseconds from an image to its verdict, for each of a line's images.
 *
 * @param {import('../dist/producer/enqueue.js').Producer} producer
 * @param {number} seed
 */
async function verdictTimes(producer, seed) {
  const { queues } = producer;
  const sent = new Map();
  for await (const { bytes, name } of atPace(simulateLine({ seed, images: live.images, defectRate: 0.02 }), {
    rate: live.rate,
    burst: 1,
  })) {
    const sentAt = Date.now();
    const original = { camera, bytes, fileName: name, capturedAt: new Date().toISOString() };
    const { inspection } = await ingestOriginal(producer, original, false);
    sent.set(inspection.inspectionId, sentAt);
  }
  await waitForEvents(sent.keys(), { queues, logger, from: '0' });
  const events = await queues.redis.xrange(streamKey(queues.config, 'verdicts'), '-', '+');
  const times = new Map();
  for (const [id, fields] of events) {
    const { inspectionId } = JSON.parse(/** @type {string} */ (fields[1]));
    if (sent.has(inspectionId)) times.set(inspectionId, Number(id.split('-')[0]) - sent.get(inspectionId));
  }
  return [...times.values()];
}

/** Verdict times of live images alone and beside a backfill, in turn. @param {string} directory */
async function measureLive(directory) {
  const store = join(directory, 'store');
  await writeSimulatedDataset(join(directory, 'plates'), { seed: 5, train: 40, good: 0, perDefect: 0 });
  const fit = ['fit', join(directory, 'plates/train/good'), '--product', 'plate', '--store', store];
  await promisify(execFile)(process.execPath, [command, ...fit]);
  /** @type {Uint8Array[]} */
  const plates = [];
  for await (const { bytes } of simulateLine({ seed: 6, images: archive.distinct, defectRate: archive.defectRate })) {
    plates.push(bytes);
  }
  writeArchive(store, (i) => /** @type {Uint8Array} */ (plates[i % plates.length]), archive.images);
  const up = await start(['up', '--store', store], 'ready:');
  const { url } = JSON.parse(await readFile(join(store, 'redis.json'), 'utf8'));
  const config = configSchema.parse({ cameras: { [camera]: { product: 'plate' } } });
  const queues = openQueues(url, config.queue, logger);
  const producer = createProducer(await openStore(store), queues, config);
  const backfill = ['ingest', join(store, 'archive'), '--camera', camera, '--backfill', '--store', store];
  const p95 = { alone: /** @type {number[]} */ ([]), beside: /** @type {number[]} */ ([]) };
  await verdictTimes(producer, 100); // loads networks and bundle
  for (let round = 0; round < live.rounds; round++) {
    p95.alone.push(quantile(await verdictTimes(producer, 200 + round), 0.95));
    const scoredBefore = await queues.queue.score.getCompletedCount();
    const filling = await start(backfill, 'waits for all results');
    while ((await queues.queue.score.getActiveCount()) === 0) await sleep(50);
    p95.beside.push(quantile(await verdictTimes(producer, 300 + round), 0.95));
    const scored = (await queues.queue.score.getCompletedCount()) - scoredBefore;
    if (scored < 2 * live.images)
      throw new Error(`Expected a backfill beside the live images but ${scored} were scored`);
    await filling.stop();
    while ((await queues.queue.score.count()) + (await queues.queue.score.getActiveCount()) > 0) await sleep(100);
  }
  await queues.close();
  await up.stop();
  return { alone: median(p95.alone), beside: median(p95.beside) };
}

/** @type {import('./run.mjs').Bench} */
export default {
  name: 'backfill',
  about:
    `Time to enqueue ${keys} images that lie in the store (embedded Redis, the window wide open, no workers), and the verdict times of ` +
    `${live.rate} live images a second alone and beside a backfill that keeps all workers busy (\`patchline up\`, everything embedded).`,
  async run() {
    const directory = await mkdtemp(join(tmpdir(), 'patchline-backfill-bench-'));
    try {
      const seconds = await enqueueAll(join(directory, 'keys'));
      const { alone, beside } = await measureLive(directory);
      return {
        columns: ['measured', 'value'],
        rows: [
          [`${keys} images enqueued, s`, seconds.toFixed(1)],
          ['images enqueued a second', (keys / seconds).toFixed(0)],
          ['live verdict alone, p95, ms', alone.toFixed(0)],
          ['live verdict beside a backfill, p95, ms', beside.toFixed(0)],
          ['ratio', (beside / alone).toFixed(2)],
        ],
        notes: [`Verdict times: medians of ${live.rounds} runs of ${live.images} images each, in turn.`],
      };
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
  },
};
