import { fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Queue, Worker } from 'bullmq';
import { pino } from 'pino';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type EmbeddedRedis, startEmbeddedRedis } from '../../src/shared/embedded-redis.js';
import { freePort } from '../../src/shared/free-port.js';
import { assertNoEviction, connectRedis, findRedis } from '../../src/shared/redis.js';

const logger = pino({ level: 'silent' });
const owner = fileURLToPath(new URL('../helpers/embedded-redis-owner.mjs', import.meta.url));
const quiet = { logger, onRestart: () => {} };
let store: string;
const running: EmbeddedRedis[] = [];

beforeEach(async () => {
  store = await mkdtemp(join(tmpdir(), 'patchline-embedded-'));
  delete process.env.REDIS_URL;
});
afterEach(async () => {
  for (const redis of running.splice(0)) await redis.stop();
  await rm(store, { recursive: true });
});

async function start(options = quiet): Promise<EmbeddedRedis> {
  const redis = await startEmbeddedRedis(store, options);
  running.push(redis);
  return redis;
}

const readAddress = async () => JSON.parse(await readFile(join(store, 'redis.json'), 'utf8'));

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await holds())) await delay(5);
}

test('it starts, answers, refuses to evict, and leaves neither process nor file when stopped', async () => {
  const redis = await start();
  expect(await readAddress()).toEqual({ url: redis.url, pid: redis.pid });
  expect(await findRedis(store)).toBe(redis.url);
  const client = connectRedis(redis.url, { logger });
  expect(await client.ping()).toBe('PONG');
  await assertNoEviction(client);
  client.disconnect();
  const { pid } = redis;
  expect(isAlive(pid)).toBe(true);
  await redis.stop();
  expect(isAlive(pid)).toBe(false);
  expect(await readdir(store)).toEqual([]);
  await expect(findRedis(store)).rejects.toMatchObject({ code: 'QUEUE_UNREACHABLE' });
  await redis.stop(); // a second time does nothing
});

test('large values and many pipelined commands come back whole', async () => {
  const client = connectRedis((await start()).url, { logger });
  const large = 'x'.repeat(5_000_000);
  await client.set('large', large);
  expect((await client.get('large')) === large).toBe(true);
  const pipeline = client.pipeline();
  for (let i = 0; i < 5000; i++) pipeline.set(`k${i}`, i).get(`k${i}`);
  const answers = (await pipeline.exec())!.map(([, answer]) => answer);
  expect(answers.filter((_, i) => i % 2 === 1)).toEqual(Array.from({ length: 5000 }, (_, i) => `${i}`));
  client.disconnect();
});

test('an answer does not wait for the next tick of the server', async () => {
  const client = connectRedis((await start()).url, { logger });
  for (let i = 0; i < 1500; i++) await client.ping(); // at 50 ms or more each the test would run out of time
  client.disconnect();
});

test('a killed server comes back on the same port, and then onRestart is called', async () => {
  let restarted: (address: unknown) => void;
  const restart = new Promise((resolve) => {
    restarted = resolve;
  });
  const redis = await start({ logger, onRestart: async () => restarted(await readAddress()) });
  const { url, pid } = redis;
  const client = connectRedis(url, { logger });
  await client.set('a', '1');
  process.kill(pid, 'SIGKILL');
  const address = await restart;
  expect(redis.url).toBe(url);
  expect(redis.pid).not.toBe(pid);
  expect(address).toEqual({ url, pid: redis.pid });
  expect(isAlive(pid)).toBe(false);
  expect(await client.get('a')).toBeNull(); // the same connection goes on; nothing was kept
  client.disconnect();
  await redis.stop();
  expect(isAlive(redis.pid)).toBe(false);
});

test('what onRestart throws is logged and ends nothing', async () => {
  const lines: string[] = [];
  const redis = await start({
    logger: pino({ level: 'error' }, { write: (line: string) => void lines.push(line) }),
    onRestart: () => {
      throw new Error('reconcile failed');
    },
  });
  process.kill(redis.pid, 'SIGKILL');
  await until(() => lines.some((line) => line.includes('reconcile failed')));
  const client = connectRedis(redis.url, { logger });
  expect(await client.ping()).toBe('PONG');
  client.disconnect();
});

test('it can be stopped while it is being started again', async () => {
  const redis = await start();
  process.kill(redis.pid, 'SIGKILL');
  await redis.stop();
  expect(isAlive(redis.pid)).toBe(false);
  expect(await readdir(store)).toEqual([]);
});

test('Ctrl-C and a terminating service manager leave it to its parent', async () => {
  const redis = await start();
  const client = connectRedis(redis.url, { logger });
  await client.set('a', '1');
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.kill(redis.pid, signal);
  expect(await client.get('a')).toBe('1'); // one that was started again would have forgotten it
  client.disconnect();
});

test('a second one on the same store is refused while the first answers', async () => {
  const redis = await start();
  await expect(startEmbeddedRedis(store, quiet)).rejects.toMatchObject({
    code: 'STORE_IN_USE',
    message: expect.stringContaining(store),
  });
  expect(await readAddress()).toEqual({ url: redis.url, pid: redis.pid });
  expect(await readdir(store)).toEqual(['redis.json']);
});

test('of several that start at once one wins, and the servers of the others end', async () => {
  const outcomes = await Promise.allSettled(Array.from({ length: 4 }, () => start()));
  expect(running).toHaveLength(1);
  const refused = outcomes.filter((outcome) => outcome.status === 'rejected');
  expect(refused.map(({ reason }) => reason.code)).toEqual(['STORE_IN_USE', 'STORE_IN_USE', 'STORE_IN_USE']);
  expect(await readAddress()).toEqual({ url: running[0]!.url, pid: running[0]!.pid });
  expect(await readdir(store)).toEqual(['redis.json']);
});

test('a redis.json that a crash left is replaced', async () => {
  const left = [
    JSON.stringify({ url: `redis://127.0.0.1:${await freePort()}`, pid: process.pid }),
    JSON.stringify({ url: `redis://127.0.0.1:${await freePort()}`, pid: 2 ** 30 }),
    '{"url"',
  ];
  for (const text of left) {
    await writeFile(join(store, 'redis.json'), text);
    const redis = await start();
    expect(await readAddress()).toEqual({ url: redis.url, pid: redis.pid });
    await redis.stop();
  }
});

test('stopping leaves the address of another server alone', async () => {
  const redis = await start();
  const other = { url: 'redis://127.0.0.1:1', pid: 1 };
  await writeFile(join(store, 'redis.json'), JSON.stringify(other));
  await redis.stop();
  expect(await readAddress()).toEqual(other);
});

test.each(['SIGKILL', 'SIGTERM'] as const)('a parent that ends by %s leaves no orphan', async (signal) => {
  const parent = fork(owner, [store], { execArgv: [] });
  const [{ url, pid }] = await once(parent, 'message');
  expect(await findRedis(store)).toBe(url);
  parent.kill(signal);
  await once(parent, 'exit');
  await until(() => !isAlive(pid));
  await expect(findRedis(store)).rejects.toMatchObject({ code: 'QUEUE_UNREACHABLE' });
  const next = await start();
  expect(await findRedis(store)).toBe(next.url);
});

test('it does not keep its parent running', async () => {
  const script = `
    import { pino } from 'pino';
    import { startEmbeddedRedis } from './dist/shared/embedded-redis.js';
    await startEmbeddedRedis(process.argv[1], { logger: pino({ level: 'silent' }), onRestart: () => {} });`;
  const parent = spawn(process.execPath, ['--input-type=module', '--eval', script, store], {
    cwd: fileURLToPath(new URL('../..', import.meta.url)),
  });
  const [code] = await once(parent, 'exit');
  expect(code).toBe(0);
  const { pid } = await readAddress();
  await until(() => !isAlive(pid));
});

test('BullMQ adds and processes jobs on it', async () => {
  const { url } = await start();
  const connections = [connectRedis(url, { logger }), connectRedis(url, { logger })] as const;
  const queue = new Queue<{ n: number }>('embedded', { connection: connections[0], prefix: 'patchline-test' });
  const seen: number[] = [];
  const all = 50;
  const worker = new Worker<{ n: number }>('embedded', async (job) => void seen.push(job.data.n), {
    connection: connections[1],
    prefix: 'patchline-test',
    concurrency: 4,
  });
  const done = new Promise<void>((resolve) => {
    worker.on('completed', () => seen.length === all && resolve());
  });
  await queue.addBulk(Array.from({ length: all }, (_, n) => ({ name: 'job', data: { n } })));
  await done;
  expect(seen.toSorted((a, b) => a - b)).toEqual(Array.from({ length: all }, (_, n) => n));
  await worker.close();
  await queue.close();
  for (const connection of connections) connection.disconnect();
});
