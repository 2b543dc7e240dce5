import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { readCursor } from '../../src/producer/cursor.js';
import { openStoreSource } from '../../src/producer/object-source.js';
import { type PollOptions, pollSource } from '../../src/producer/poll-source.js';
import { reconcile } from '../../src/producer/reconcile.js';
import { configSchema } from '../../src/shared/config.js';
import { PatchlineError } from '../../src/shared/errors.js';
import { createLogger } from '../../src/shared/logger.js';
import type { ObjectStore } from '../../src/shared/store/object-store.js';
import { redisKinds, type TestRedis } from '../helpers/redis-kinds.js';
import { openStandInLine, type StandInLine, until } from '../helpers/stand-in-line.js';

const { limits } = configSchema.parse({});
const hourMs = 3_600_000;

describe('a polled prefix', () => {
  let redis: TestRedis;
  let line: StandInLine;
  let runs: Map<string, number>;
  let closers: (() => Promise<void>)[];
  beforeAll(async () => {
    redis = await redisKinds()[0]!.open();
  });
  afterAll(() => redis.stop());
  beforeEach(async () => {
    line = await openStandInLine(redis.url);
    runs = new Map();
    closers = [];
    line.interventions.score = ({ imageKey }) => {
      runs.set(imageKey, (runs.get(imageKey) ?? 0) + 1);
    };
  });
  afterEach(async () => {
    for (const close of closers) await close();
    await line.close();
  });

  const put = (name: string) => line.store.put(`incoming/${name}.jpg`, new TextEncoder().encode(`good ${name}`));
  const source = (store: ObjectStore = line.store) => openStoreSource(store, 'incoming/', 'line-1', limits);
  const cursor = () => readCursor(line.store, { source: source().address, camera: 'line-1', kind: 'poll' });
  const scored = () => [...runs.keys()].map((key) => key.slice('incoming/'.length, -'.jpg'.length)).sort();

  function poll(options: Partial<PollOptions> = {}, store?: ObjectStore): () => Promise<void> {
    const ending = new AbortController();
    const polling = pollSource(line.producer, source(store), {
      ...{ camera: 'line-1', everyMs: 20, sweepEveryMs: hourMs, logger: createLogger('silent') },
      ...{ signal: ending.signal, onOutcome() {}, ...options },
    });
    const close = async () => {
      ending.abort();
      await polling;
    };
    closers.push(close);
    return close;
  }

  test('is looked through for new keys, and its cursor waits for their results', async () => {
    await put('b');
    await put('c');
    const close = poll();
    await until('both to be enqueued', async () => (await line.queues.queue.score.count()) === 2);
    await put('d');
    await until('the third', async () => (await line.queues.queue.score.count()) === 3);
    expect((await cursor())?.after).toBeUndefined();
    expect((await cursor())?.upTo).toBe('incoming/d.jpg');
    line.start('score', 'finalize');
    await until('the cursor', async () => (await cursor())?.after === 'incoming/d.jpg');
    await close();
    expect(scored()).toEqual(['b', 'c', 'd']);

    await redis.flush();
    await put('e');
    poll();
    await until('what came meanwhile', async () => (await cursor())?.after === 'incoming/e.jpg');
    expect([...runs.values()]).toEqual([1, 1, 1, 1]);
  });

  test('is listed from the first key now and then, for keys that sort before others', async () => {
    line.start('score', 'finalize');
    await put('b');
    const close = poll();
    await until('the first', async () => (await cursor())?.after === 'incoming/b.jpg');
    await put('a');
    await put('c');
    await until('what sorts behind', async () => (await cursor())?.after === 'incoming/c.jpg');
    expect(scored()).toEqual(['b', 'c']);
    await close();
    poll({ sweepEveryMs: 1 });
    await until('what sorts before', () => scored().length === 3);
    await until('a whole pass', async () => (await cursor())?.seenUntil !== undefined);
    expect([...runs.values()]).toEqual([1, 1, 1]);
  });

  test('whose Redis was lost is mended by reconcile while nobody polls', async () => {
    await put('a');
    const close = poll();
    await until('it to be enqueued', async () => (await line.queues.queue.score.count()) === 1);
    await close();
    await redis.flush();
    expect(await reconcile(line.producer, { settleMs: 0 })).toMatchObject({ images: 1, enqueued: 1 });
    line.start('score', 'finalize');
    await until('its result', async () => scored().length === 1 && (await line.idle()));
    expect(await reconcile(line.producer, { settleMs: 0 })).toMatchObject({ images: 1, finished: 1, enqueued: 0 });
  });

  test('waits while the store is away', async () => {
    let away = true;
    let asked = 0;
    const store: ObjectStore = {
      ...line.store,
      list(...args) {
        asked++;
        if (away) throw new PatchlineError('STORE_UNREACHABLE', 'away', { retryable: true });
        return line.store.list(...args);
      },
    };
    line.start('score', 'finalize');
    await put('a');
    poll({}, store);
    await until('three attempts', () => asked >= 3);
    away = false;
    await until('the result', async () => (await cursor())?.after === 'incoming/a.jpg');
    expect(scored()).toEqual(['a']);
  });
});
