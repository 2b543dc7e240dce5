import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { InspectionResult } from '../../src/shared/contracts.js';
import { createRandom } from '../../src/shared/kernels/random.js';
import { listAll } from '../../src/shared/store/object-store.js';
import { openStore } from '../../src/shared/store/open-store.js';
import { type CommandProcess, runCommand, startCommand } from '../helpers/command-line.js';
import { createFittedStore, type FittedStore } from '../helpers/fitted-store.js';
import { redisKinds, type TestRedis } from '../helpers/redis-kinds.js';

const images = 100;
/** What each of the processes works on. */
const stagesOf = [['finalize'], ['score'], ['gradcam', 'features', 'shap']];

describe.each(redisKinds())('worker processes on $name', ({ open }) => {
  let fitted: FittedStore;
  let redis: TestRedis;
  let env: Record<string, string>;
  beforeAll(async () => {
    [fitted, redis] = await Promise.all([createFittedStore(images / 2, images / 10), open()]);
    env = {
      REDIS_URL: redis.url,
      PATCHLINE_STORE: fitted.storeUrl,
      PATCHLINE_THREADS: '1',
      PATCHLINE_EXPLAIN: 'all',
      PATCHLINE_QUEUE_LOCK_DURATION_MS: '2000',
      PATCHLINE_QUEUE_STALLED_INTERVAL_MS: '500',
      PATCHLINE_QUEUE_BACKOFF_MS: '100',
    };
  }, 120_000);
  afterAll(async () => {
    await redis.stop();
    await fitted.remove();
  });

  test('killed at random and with Redis flushed, they leave one done result for each image', async () => {
    const random = createRandom(11);
    const pool: CommandProcess[] = [];
    const spawn = (place: number) => {
      pool[place] = startCommand(['worker', ...stagesOf[place]!], env);
    };
    for (const place of stagesOf.keys()) spawn(place);
    const ingesting = startCommand(['ingest', `${fitted.images}/test`, '--camera', 'line-1', '--wait', '--json'], env);
    const store = await openStore(fitted.storeUrl);
    const resultKeys = async () => {
      const keys: string[] = [];
      for await (const { key } of listAll(store, 'inspections/')) if (key.endsWith('/result.json')) keys.push(key);
      return keys;
    };

    let kills = 0;
    let flushed = false;
    while (ingesting.child.exitCode === null) {
      const there = (await resultKeys()).length;
      if (there > images / 4 && !flushed) {
        await redis.flush();
        flushed = true;
        expect(await runCommand(['reconcile', '--json'], env)).toMatchObject({ code: 0 });
      }
      if (kills < 8) {
        const place = random.integer(pool.length);
        pool[place]!.child.kill('SIGKILL');
        await pool[place]!.ended;
        kills++;
        spawn(place);
      }
      await Promise.race([ingesting.ended, sleep(700)]); // the pace of the kills, not a wait for a state
    }
    expect(await ingesting.ended, ingesting.stderr()).toBe(0);
    for (const { child } of pool) child.kill('SIGTERM');
    expect(await Promise.all(pool.map(({ ended }) => ended))).toEqual([0, 0, 0]);

    const { results }: { results: InspectionResult[] } = JSON.parse(ingesting.stdout());
    expect(results).toHaveLength(images);
    expect(new Set(results.map(({ imageKey }) => imageKey)).size).toBe(images);
    expect(results.map(({ status }) => status)).toEqual(Array(images).fill('done'));
    expect(await resultKeys()).toHaveLength(images);
    expect(flushed && kills).toBe(8);
  }, 240_000);
});
