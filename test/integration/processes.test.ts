import { existsSync } from 'node:fs';
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { waitForResults } from '../../src/producer/wait-for-results.js';
import { configSchema } from '../../src/shared/config.js';
import { type InspectionResult, stageNames } from '../../src/shared/contracts.js';
import { type EmbeddedRedis, startEmbeddedRedis } from '../../src/shared/embedded-redis.js';
import { createLogger } from '../../src/shared/logger.js';
import { openQueues, type Queues } from '../../src/shared/queues.js';
import { pingRedis } from '../../src/shared/redis-ping.js';
import { getJson, listAll, type ObjectStore } from '../../src/shared/store/object-store.js';
import { openStore } from '../../src/shared/store/open-store.js';
import { type CommandProcess, runCommand, startCommand } from '../helpers/command-line.js';
import { createFittedStore, type FittedStore } from '../helpers/fitted-store.js';
import { gate, openStandInLine, until } from '../helpers/stand-in-line.js';

const logger = createLogger('silent');
let fitted: FittedStore;
let store: ObjectStore;
let env: Record<string, string>;
beforeAll(async () => {
  fitted = await createFittedStore(10, 0);
  store = await openStore(fitted.storeUrl);
  env = { PATCHLINE_STORE: store.url, PATCHLINE_THREADS: '1' };
});
afterAll(() => fitted.remove());

async function results(): Promise<InspectionResult[]> {
  const found: InspectionResult[] = [];
  for await (const { key } of listAll(store, 'inspections/')) {
    if (key.endsWith('/result.json')) found.push((await getJson(store, key)) as InspectionResult);
  }
  return found;
}
afterEach(async () => {
  for (const folder of ['images', 'inspections', 'work'])
    await rm(join(store.url, folder), { recursive: true, force: true });
});

async function enqueue(folder: string, ...options: string[]): Promise<number> {
  const { code, stdout, stderr } = await runCommand(
    ['ingest', join(fitted.images, folder), '--camera', 'line-1', '--json', ...options],
    env,
  );
  expect(code, stderr).toBe(0);
  return JSON.parse(stdout).enqueued;
}

describe('a worker process', () => {
  let redis: EmbeddedRedis;
  let queues: Queues;
  beforeEach(async () => {
    redis = await startEmbeddedRedis(store.url, { logger, onRestart: () => {} });
    queues = openQueues(redis.url, configSchema.parse({}).queue, logger);
  });
  afterEach(async () => {
    await queues.close();
    await redis.stop();
  });

  test('that is asked to end finishes the jobs it is at, and leaves the others', async () => {
    const images = (await enqueue('train/good')) + (await enqueue('test/good'));
    expect(images).toBe(30);
    const startWorker = () => startCommand(['worker', ...stageNames], env);
    const first = startWorker();
    await until(
      'a result, and jobs under way',
      async () => (await results()).length > 0 && (await queues.queue.score.getActiveCount()) > 0,
    );
    first.child.kill('SIGTERM');
    expect(await first.ended, first.stderr()).toBe(0);
    expect(await queues.queue.score.getActiveCount()).toBe(0);
    expect(await queues.queue.finalize.getActiveCount()).toBe(0);
    expect(await queues.queue.score.getWaitingCount()).toBeGreaterThan(0);
    const scored = await queues.queue.score.getCompletedCount();
    expect((await results()).length + (await queues.queue.finalize.getWaitingCount())).toBe(scored);

    const second = startWorker();
    await until('all results', async () => (await results()).length === images);
    second.child.kill('SIGTERM');
    expect(await second.ended, second.stderr()).toBe(0);
    for (const stage of ['score', 'finalize'] as const) {
      const jobs = await queues.queue[stage].getJobs(['completed']);
      expect(jobs.map(({ attemptsStarted, stalledCounter }) => [attemptsStarted, stalledCounter])).toEqual(
        Array(images).fill([1, 0]),
      );
    }
    expect(new Set((await results()).map(({ status }) => status))).toEqual(new Set(['done']));
  });
});

describe('up', () => {
  const addressFile = () => join(store.url, 'redis.json');
  const address = async (): Promise<{ url: string; pid: number }> => JSON.parse(await readFile(addressFile(), 'utf8'));
  const isGone = (pid: number) => {
    try {
      return !process.kill(pid, 0);
    } catch {
      return true;
    }
  };
  async function startUp(): Promise<CommandProcess> {
    const up = startCommand(['up'], env);
    await up.printed('ready:');
    return up;
  }

  test('outlives the loss of its process and of its Redis, and is alone on its store', async () => {
    const killed = await startUp();
    const { pid: server } = await address();
    expect(await runCommand(['up'], env)).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(
        RegExp(`^STORE_IN_USE: Expected no other .*${store.url}.* process ${server}, answers`),
      ),
    });

    killed.child.kill('SIGSTOP'); // so that the images stay where they are
    const images = await enqueue('test/good');
    expect(images).toBe(10);
    killed.child.kill('SIGKILL');
    await killed.ended;
    await until('the embedded Redis to end with its parent', () => isGone(server));
    expect(await results()).toEqual([]);

    const up = await startUp(); // over the redis.json that was left
    await until('the results of what the lost Redis held', async () => (await results()).length === images);
    const before = await results();

    up.child.kill('SIGSTOP');
    expect(await enqueue('test/good', '--again')).toBe(images);
    const { url, pid } = await address();
    process.kill(pid, 'SIGKILL');
    await until('the embedded Redis to be gone', async () => (await pingRedis(url, 1_000)) !== undefined);
    up.child.kill('SIGCONT');
    await until('results once more', async () => (await results()).length === images);
    expect((await address()).pid).not.toBe(pid);
    const newer = (await results()).filter(({ finishedAt }) => before.every((old) => old.finishedAt < finishedAt));
    expect(newer).toHaveLength(images);

    up.child.kill('SIGTERM');
    expect(await up.ended, up.stderr()).toBe(0);
    expect(existsSync(addressFile())).toBe(false);
    expect(up.stderr()).toContain(`${images} enqueued again`);
  });
});

test('who waits for results is told why none comes', async () => {
  const redis = await startEmbeddedRedis(store.url, { logger, onRestart: () => {} });
  const line = await openStandInLine(redis.url);
  const image = await line.image('good');
  const reasons: string[] = [];
  const told = (reason: string) => until(reason, () => reasons.at(-1) === reason);
  const held = gate();
  line.interventions.score = () => held.passed;
  const collecting = (async () => {
    const waiting = { store: line.store, queues: line.queues, logger, from: '0', stallMs: 50 };
    const found: InspectionResult[] = [];
    for await (const result of waitForResults([image.inspectionId], {
      ...waiting,
      onStall: (reason) => reasons.push(reason),
    }))
      found.push(result);
    return found;
  })();

  const [, ...others] = stageNames;
  const all = `no worker takes jobs of ${stageNames.join(', ')}: start "patchline up" or "patchline worker ${stageNames.join(' ')}"`;
  await told(all);
  line.start(...others);
  await told('no worker takes jobs of score: start "patchline up" or "patchline worker score"');
  line.start('score');
  await told('1 of 1 inspections have no job: run "patchline reconcile"');
  await line.enqueue(image);
  await told('1 inspections are still under way');
  held.open();
  expect(await collecting).toMatchObject([{ inspectionId: image.inspectionId, status: 'done' }]);
  await line.close();
  await redis.stop();
});
