import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { recordInspections } from '../../src/history/record.js';
import { openHistory, openOrCreateHistory } from '../../src/history/table.js';
import { type HistoryWriter, startHistoryWriter } from '../../src/history/writer.js';
import { configSchema } from '../../src/shared/config.js';
import type { ScoredResult } from '../../src/shared/contracts.js';
import { PatchlineError } from '../../src/shared/errors.js';
import { createLogger } from '../../src/shared/logger.js';
import { openQueues, publish, type Queues, streamKey } from '../../src/shared/queues.js';
import { eventOf } from '../../src/shared/results.js';
import type { ObjectStore } from '../../src/shared/store/object-store.js';
import { openStore } from '../../src/shared/store/open-store.js';
import { startCommand } from '../helpers/command-line.js';
import { pastResult, putResults } from '../helpers/past-inspections.js';
import { redisKinds, type TestRedis } from '../helpers/redis-kinds.js';
import { until } from '../helpers/stand-in-line.js';

const logger = createLogger('silent');

describe.each(redisKinds())('the writer of history on $name', ({ open }) => {
  let redis: TestRedis;
  let store: ObjectStore;
  let queues: Queues;
  let writer: HistoryWriter | undefined;
  let prefix: string;
  beforeEach(async () => {
    redis = await open();
    store = await openStore(await mkdtemp(join(tmpdir(), 'patchline-writer-')));
    prefix = `test-${randomBytes(6).toString('hex')}`;
    queues = openQueues(redis.url, config().queue, logger);
  });
  afterEach(async () => {
    await writer?.close();
    writer = undefined;
    await queues.close();
    await redis.stop();
    await rm(store.url, { recursive: true, force: true });
  });

  const config = () => configSchema.parse({ queue: { prefix, lockDurationMs: 400, stalledIntervalMs: 100 } });
  const start = () => {
    writer = startHistoryWriter({ store, queues, config: config(), logger });
  };
  const key = () => streamKey(queues.config, 'results');
  const ids = async () => {
    const history = await openHistory(store);
    const rows = (await history?.table.query().select(['inspectionId']).toArray()) ?? [];
    return rows.map(({ inspectionId }) => inspectionId).sort();
  };
  const tell = ({ inspectionId, imageKey, camera, product, bundle, capturedAt, status }: ScoredResult) => {
    const inspection = { inspectionId, imageKey, camera, product, bundle, capturedAt };
    return publish(queues, 'results', eventOf({ ...inspection, policy: 'flagged', priority: 0 }, { status }));
  };
  const finish = async (results: ScoredResult[]) => {
    await putResults(store, results);
    for (const result of results) await tell(result);
  };
  const idsOf = (results: { inspectionId: string }[]) => results.map(({ inspectionId }) => inspectionId).sort();
  const pending = async () => ((await queues.redis.xpending(key(), 'history')) as [number])[0];
  const written = (results: ScoredResult[]) =>
    until('a row of each result', async () => (await ids()).length >= results.length);
  const joined = () =>
    until('the group', async () => {
      const groups = await queues.redis.xinfo('GROUPS', key()).catch(() => []);
      return (groups as unknown[]).length > 0;
    });
  const some = (from: number, count: number) => Array.from({ length: count }, (_, n) => pastResult(from + n));

  test('writes a row for each event, in few batches, and leaves the group when it is closed', async () => {
    const results = some(0, 30);
    await finish(results); // before there is a group
    start();
    await written(results);
    const more = some(30, 20);
    await Promise.all([finish(more), tell(results[0]!)]);
    await queues.redis.xadd(key(), '*', 'event', 'no event');
    await written([...results, ...more]);
    await until('all to be acknowledged', async () => (await pending()) === 0);
    await writer!.close();
    writer = undefined;
    expect(await ids()).toEqual(idsOf([...results, ...more]));
    const history = (await openHistory(store))!;
    expect(await history.table.version()).toBeLessThan(12);
    expect(await queues.redis.xinfo('CONSUMERS', key(), 'history')).toEqual([]);
  });

  test('takes over what a dead writer held, whether its row was committed or not', async () => {
    const results = some(0, 6);
    await queues.redis.xgroup('CREATE', key(), 'history', '0', 'MKSTREAM');
    await finish(results);
    await queues.redis.xreadgroup('GROUP', 'history', 'dead', 'COUNT', 4, 'STREAMS', key(), '>');
    const history = await openOrCreateHistory(store);
    await recordInspections({ store, history }, idsOf(results.slice(0, 2))); // committed, not acknowledged
    start();
    await written(results);
    await until('all to be acknowledged', async () => (await pending()) === 0);
    expect(await ids()).toEqual(idsOf(results));
  });

  test('acknowledges nothing that it could not write, and writes it later', async () => {
    let refused = 0;
    let reachable = false;
    const get: ObjectStore['get'] = async (key) => {
      if (reachable) return await store.get(key);
      refused++;
      throw new PatchlineError('STORE_UNREACHABLE', 'away', { retryable: true });
    };
    const results = some(0, 5);
    const gone = pastResult(5); // deleted before its row was written: nothing is left to write
    writer = startHistoryWriter({ store: { ...store, get }, queues, config: config(), logger });
    await joined();
    await finish(results);
    await tell(gone);
    await until('a failure to write', () => refused > 0);
    await until('all to be taken', async () => (await pending()) === 6);
    reachable = true;
    await written(results);
    await until('all to be acknowledged', async () => (await pending()) === 0);
    expect(await ids()).toEqual(idsOf(results));
  });

  test('starts where it can, however late', async () => {
    await writeFile(join(store.url, '.history'), 'in the way');
    const results = some(0, 5);
    start();
    await finish(results);
    await rm(join(store.url, '.history'));
    await written(results);
    expect(await ids()).toEqual(idsOf(results));
  });

  test('a result that cannot be read stops nothing', async () => {
    const broken = pastResult(1, { vectors: { embedding: 'AAA=', patch: 'AAA=', backbone: 'x' } });
    const results = some(2, 3);
    start();
    await finish([broken, ...results]);
    await written(results);
    await until('all to be acknowledged', async () => (await pending()) === 0);
    expect(await ids()).toEqual(idsOf(results));
  });

  test('makes its group again where Redis lost it, and compares all results', async () => {
    const before = pastResult(1);
    start();
    await joined();
    await finish([before]);
    await written([before]);
    const untold = pastResult(2);
    await putResults(store, [untold, { ...before, anomalyScore: 9 }]);
    await redis.flush();
    await written([before, untold]);
    const history = (await openHistory(store))!;
    await until('the newer result', async () => (await history.table.countRows('anomalyScore = 9')) === 1);
    const after = pastResult(3);
    await finish([after]);
    await written([before, untold, after]);
    expect(await ids()).toEqual(idsOf([before, untold, after]));
  });

  test('compares the last days when it starts again', async () => {
    start();
    await joined();
    await writer!.close();
    const recent = pastResult(1, { capturedAt: new Date().toISOString() });
    const old = pastResult(2);
    await putResults(store, [recent, old]);
    start();
    await written([recent]);
    const told = pastResult(3);
    await finish([told]);
    await written([recent, told]);
    expect(await ids()).toEqual(idsOf([recent, told]));
  });

  test('killed while it writes, it leaves a row of each result and no other', async () => {
    const results = some(0, 80);
    const env = {
      REDIS_URL: redis.url,
      PATCHLINE_STORE: store.url,
      PATCHLINE_QUEUE_PREFIX: prefix,
      PATCHLINE_QUEUE_LOCK_DURATION_MS: '400',
      PATCHLINE_QUEUE_STALLED_INTERVAL_MS: '100',
    };
    for (let kill = 0; kill < 2; kill++) {
      const child = startCommand(['worker', 'history'], env);
      await child.printed('working on history');
      await finish(results.slice(40 * kill, 40 * (kill + 1)));
      if (kill === 1) await until('rows to be committed', async () => (await ids()).length > 40);
      child.child.kill('SIGKILL');
      await child.ended;
    }
    const last = startCommand(['worker', 'history'], env);
    await last.printed('working on history');
    await written(results);
    await until('all to be acknowledged', async () => (await pending()) === 0);
    last.child.kill('SIGTERM');
    expect(await last.ended, last.stderr()).toBe(0);
    expect(await ids()).toEqual(idsOf(results));
  });
});
