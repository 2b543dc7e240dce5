import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type Cursor, readCursor, unfinishedCursors } from '../../src/producer/cursor.js';
import type { ImageSource } from '../../src/producer/image-source.js';
import { ingestSource, type SourceOptions } from '../../src/producer/ingest-source.js';
import type { Outcome } from '../../src/producer/ingest-tally.js';
import { openS3Source, openStoreSource } from '../../src/producer/object-source.js';
import { reconcile } from '../../src/producer/reconcile.js';
import { configSchema } from '../../src/shared/config.js';
import { stageNames } from '../../src/shared/contracts.js';
import { createLogger } from '../../src/shared/logger.js';
import { listAll, type ObjectStore, putJson } from '../../src/shared/store/object-store.js';
import { openStore } from '../../src/shared/store/open-store.js';
import { redisKinds, type TestRedis } from '../helpers/redis-kinds.js';
import { type S3Server, startS3Server } from '../helpers/s3-server.js';
import { gate, openStandInLine, type StandInLine, until } from '../helpers/stand-in-line.js';

const logger = createLogger('silent');
const { limits } = configSchema.parse({});
const encoder = new TextEncoder();

describe.each(redisKinds())('an ingest of images that are named, on $name', ({ open }) => {
  let redis: TestRedis;
  let line: StandInLine;
  let runs: Map<string, number>;
  beforeAll(async () => {
    redis = await open();
  });
  afterAll(() => redis.stop());
  beforeEach(async () => {
    line = await openStandInLine(redis.url);
    runs = new Map();
    countRuns(() => undefined);
  });
  afterEach(() => line.close());

  /** Counts how often each image is scored. */
  function countRuns(then: (imageKey: string) => Promise<void> | undefined): void {
    line.interventions.score = async ({ imageKey }) => {
      runs.set(imageKey, (runs.get(imageKey) ?? 0) + 1);
      await then(imageKey);
    };
  }
  const runsOfEach = () => [...runs.values()];

  /** `archive/00.jpg` and on; every third is anomalous. */
  async function putArchive(images: number, from = 0): Promise<string[]> {
    const keys = Array.from({ length: images }, (_, i) => `archive/${String(from + i).padStart(2, '0')}.jpg`);
    for (const [i, key] of keys.entries()) {
      await line.store.put(key, encoder.encode(`${i % 3 === 0 ? 'anomalous' : 'good'} ${key}`));
    }
    return keys;
  }
  /** The archive, listed in small pages. */
  const archive = (pageSize = 7): ImageSource => {
    const store: ObjectStore = {
      ...line.store,
      list: (prefix, options) => line.store.list(prefix, { ...options, limit: pageSize }),
    };
    return openStoreSource(store, 'archive/', 'line-1', limits);
  };
  const cursorOf = () => readCursor(line.store, { source: archive().address, camera: 'line-1', kind: 'backfill' });

  function ingest(
    source: ImageSource,
    options: Partial<SourceOptions> & { windowSize?: number } = {},
  ): Promise<Cursor> {
    const { windowSize = 10, ...rest } = options;
    const config = { ...line.producer.config, limits: { ...limits, backfillWindow: windowSize } };
    return ingestSource({ ...line.producer, config }, source, {
      ...{ camera: 'line-1', kind: 'backfill' as const, wait: true, logger, signal: new AbortController().signal },
      ...{ onStart() {}, onPage() {}, onOutcome() {}, onStall() {} },
      ...rest,
    });
  }

  test('takes every image once, over many pages, with the priority of a backfill', async () => {
    const keys = await putArchive(40);
    await line.store.put('archive/notes.txt', encoder.encode('no image'));
    const priorities = new Set<number>();
    line.interventions.score = (inspection, job) => {
      runs.set(inspection.imageKey, (runs.get(inspection.imageKey) ?? 0) + 1);
      priorities.add(inspection.priority).add(job.opts.priority ?? 0);
    };
    line.start(...stageNames);
    const pages = { images: 0, skipped: 0 };
    const cursor = await ingest(archive(), {
      onPage(images, skipped) {
        pages.images += images;
        pages.skipped += skipped;
      },
    });
    expect(pages).toEqual({ images: 40, skipped: 1 });
    expect(cursor).toMatchObject({ after: 'archive/notes.txt', upTo: keys.at(-1), resumed: 0 });
    expect(cursor.finishedAt).toBeDefined();
    expect(cursor.tally).toMatchObject({ images: 40, done: 40, anomalous: 14, failed: 0, finished: 0, refused: 0 });
    expect(cursor.tally.worst).toHaveLength(14);
    expect([...runs.keys()].sort()).toEqual(keys);
    expect(new Set(runsOfEach())).toEqual(new Set([1]));
    expect([...priorities]).toEqual([10]);
    expect(await cursorOf()).toEqual(cursor);

    const [added] = await putArchive(1, 40);
    const again = await ingest(archive());
    expect(again.tally).toMatchObject({ images: 41, done: 1, finished: 40 });
    expect(runs.size).toBe(41);
    expect(runs.get(added!)).toBe(1);
  });

  test('keeps the cursor behind the last key before which every image has a result, and its window bounded', async () => {
    const keys = await putArchive(40);
    const held = gate();
    countRuns((imageKey) => (imageKey === keys[12] ? held.passed : undefined));
    line.start(...stageNames);
    const done: Outcome[] = [];
    const ingesting = ingest(archive(), { windowSize: 10, onOutcome: (outcome) => done.push(outcome) });
    // The images behind the held one, as far as the window reaches.
    await until(
      'all others of the window',
      async () => done.length > 12 && (await line.queues.queue.score.count()) === 0,
    );
    await until('the cursor', async () => (await cursorOf())?.after === keys[11]);
    const cursor = await cursorOf();
    expect(cursor?.tally.images).toBe(12);
    expect(keys.indexOf(cursor!.upTo!)).toBeGreaterThan(12);
    expect(keys.indexOf(cursor!.upTo!)).toBeLessThan(12 + 10);
    expect(runs.size).toBeLessThanOrEqual(12 + 10);
    held.open();
    expect((await ingesting).tally.done).toBe(40);
    expect(new Set(runsOfEach())).toEqual(new Set([1]));
  });

  test('loses none when Redis is lost in the middle', async () => {
    await putArchive(30);
    const held = gate();
    let begun = 0;
    countRuns(() => (++begun > 8 ? held.passed : undefined));
    const first = line.start(...stageNames);
    const ingesting = ingest(archive());
    await until('some results, and jobs under way', async () => begun > 8 && (await cursorOf())!.tally.images > 4);
    await redis.flush();
    held.open();
    await first.close();
    line.start(...stageNames);
    const cursor = await ingesting;
    expect(cursor.tally).toMatchObject({ images: 30, done: 30 });
    expect(await line.idle()).toBe(true);
  });

  test('goes on where it was broken off, after Redis was lost too', async () => {
    const keys = await putArchive(30);
    const ending = new AbortController();
    line.start(...stageNames);
    const broken = await ingest(archive(), {
      signal: ending.signal,
      onOutcome: () => runs.size > 11 && ending.abort(),
    });
    expect(broken.finishedAt).toBeUndefined();
    expect(broken.tally.images).toBeLessThan(30);
    await until('what was enqueued to be done', () => line.idle());
    await redis.flush();
    const cursor = await ingest(archive());
    expect(cursor).toMatchObject({ resumed: 1, startedAt: broken.startedAt });
    expect(cursor.tally).toMatchObject({ images: 30, done: 30, finished: 0, anomalous: 10 });
    expect([...runs.keys()].sort()).toEqual(keys);
    expect(new Set(runsOfEach())).toEqual(new Set([1]));
  });

  test('that only enqueued is brought to its end by reconcile after Redis was lost', async () => {
    await putArchive(9);
    const left = await ingest(archive(), { kind: 'ingest', wait: false });
    expect(left).toMatchObject({ enqueuedAll: true, tally: { images: 0 } });
    expect(left.finishedAt).toBeUndefined();
    expect(await line.queues.queue.score.count()).toBe(9);
    await redis.flush();
    expect(await reconcile(line.producer, { settleMs: 0 })).toMatchObject({ images: 9, enqueued: 9 });
    expect(await reconcile(line.producer, { settleMs: 0 })).toMatchObject({ images: 9, live: 9, enqueued: 0 });
    line.start(...stageNames);
    await until('all results', async () => runs.size === 9 && (await line.idle()));
    expect(await reconcile(line.producer, { settleMs: 0 })).toMatchObject({ images: 9, finished: 9 });
    for await (const { cursor } of unfinishedCursors(line.store)) expect.fail(cursor.source);
    expect(await reconcile(line.producer, { settleMs: 0 })).toMatchObject({ images: 0 });
    expect(new Set(runsOfEach())).toEqual(new Set([1]));
  });

  test('that is broken off counts what an older version of the bundle has done meanwhile', async () => {
    await putArchive(6);
    const ending = new AbortController();
    const held = gate();
    countRuns(() => held.passed);
    line.start(...stageNames);
    const breaking = ingest(archive(), { signal: ending.signal });
    await until('the first job', () => runs.size > 0);
    ending.abort();
    await breaking;
    await putJson(line.store, 'bundles/kol/v1/bundle.json', {});
    await putJson(line.store, 'bundles/kol/v2/bundle.json', {});
    await putJson(line.store, 'bundles/kol/active.json', { version: 'v2' });
    held.open();
    await until('v2 to be what is known', async () => (await line.producer.activeVersionOf('kol')) === 'v2');
    const cursor = await ingest(archive());
    expect(cursor.tally).toMatchObject({ images: 6, done: 6 });
    expect(new Set(runsOfEach())).toEqual(new Set([1]));
  });

  test('accepts nothing from an unknown camera', async () => {
    await putArchive(3);
    const store = { ...line.store, list: async () => ({ objects: [] }) } as ObjectStore; // no product at all
    const { createProducer } = await import('../../src/producer/enqueue.js');
    const producer = createProducer(store, line.queues, configSchema.parse({}));
    const options = { camera: 'line-9', kind: 'backfill' as const, wait: true, logger };
    const signal = new AbortController().signal;
    await expect(
      ingestSource(producer, archive(), {
        ...{ ...options, signal, onStart() {}, onPage() {}, onOutcome() {}, onStall() {} },
      }),
    ).rejects.toMatchObject({ code: 'CAMERA_UNKNOWN' });
    expect(await line.queues.queue.score.count()).toBe(0);
    for await (const { key } of listAll(line.store, 'cursors/')) expect.fail(key);
  });

  test('refuses what cannot be taken, by name, and goes on', async () => {
    await putArchive(2);
    await line.store.put('archive/big.jpg', new Uint8Array(2_000));
    const at = (capturedat: string) => ({ metadata: { capturedat } });
    await line.store.put('archive/00.jpg', encoder.encode('good'), at('2023-05-17T10:00:00+02:00'));
    await line.store.put('archive/future.jpg', encoder.encode('good'), at('2131-01-01T00:00:00Z'));
    await line.store.put('archive/wrong.jpg', encoder.encode('good'), at('yesterday'));
    await line.store.put('archive/readings.png', encoder.encode('good'));
    await line.store.put('archive/readings.json', encoder.encode('{"process": {"temperature": "hot"}}'));
    await line.store.put('archive/warm.jpg', encoder.encode('good'));
    await line.store.put('archive/warm.jpg.json', encoder.encode('{"process": {"temperature": 231.5}}'));
    line.start(...stageNames);
    const source = openStoreSource(line.store, 'archive/', 'line-1', { ...limits, maxImageBytes: 1_000 });
    const cursor = await ingest(source);
    expect(cursor.times).toBe('metadata');
    expect(cursor.tally).toMatchObject({ images: 7, done: 3, refused: 4 });
    expect(Object.entries(cursor.tally.faults).map(([code, { images }]) => [code, images])).toEqual([
      ['IMAGE_TOO_LARGE', 1],
      ['CAPTURE_TIME_INVALID', 2],
      ['PROCESS_DATA_INVALID', 1],
    ]);
    expect(Object.keys(cursor.tally.days)).toContain('2023-05-17');
    const events = await line.events('results');
    const warm = events.find(({ imageKey }) => imageKey === 'archive/warm.jpg')!;
    const { readResult } = await import('../../src/shared/results.js');
    expect(await readResult(line.store, warm.inspectionId)).toMatchObject({ process: { temperature: 231.5 } });
  });
});

describe('objects at an s3:// address', () => {
  let server: S3Server;
  let redis: TestRedis;
  const before = { ...process.env };
  beforeAll(async () => {
    [server, redis] = await Promise.all([startS3Server('fauxqs'), redisKinds()[0]!.open()]);
    Object.assign(process.env, server.env);
  });
  afterAll(async () => {
    process.env = before;
    await server.stop();
    await redis.stop();
  });

  test('are read where they lie and never copied; those of the store by their key, its own folders left out', async () => {
    const line = await openStandInLine(redis.url);
    const elsewhere = await openStore(`${server.url}/archive`);
    await elsewhere.put('a.jpg', encoder.encode('good'), { metadata: { capturedat: '2024-02-03T04:05:06.000Z' } });
    await elsewhere.put('inspections/b.jpg', encoder.encode('anomalous'));
    line.start(...stageNames);
    const options = { camera: 'line-1', kind: 'ingest' as const, wait: true, logger };
    const signal = new AbortController().signal;
    const hooks = { signal, onStart() {}, onPage() {}, onOutcome() {}, onStall() {} };
    const source = openS3Source(line.store, `${elsewhere.url}/`, 'line-1', limits);
    const cursor = await ingestSource(line.producer, source, { ...options, ...hooks });
    expect(cursor.tally).toMatchObject({ images: 2, done: 2, anomalous: 1 });
    const results = await line.events('results');
    expect(results.map(({ imageKey }) => imageKey).sort()).toEqual([
      `${elsewhere.url}/a.jpg`,
      `${elsewhere.url}/inspections/b.jpg`,
    ]);
    expect(results.map(({ capturedAt }) => capturedAt)).toContain('2024-02-03T04:05:06.000Z');
    for await (const { key } of listAll(line.store, 'images/')) expect.fail(key);

    const named = [];
    for await (const { images } of openS3Source(elsewhere, elsewhere.url, 'line-1', limits).pages(undefined)) {
      for (const image of images) named.push((await image.read('modified')).imageKey);
    }
    expect(named).toEqual(['a.jpg']);
    await line.close();
  });
});
