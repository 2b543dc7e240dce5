import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { freePort } from '../../src/shared/free-port.js';
import { assertNoEviction, connectRedis, findRedis } from '../../src/shared/redis.js';
import { startRedisServer } from '../helpers/redis-server.js';
import { requireService } from '../helpers/services.js';

const silent = pino({ level: 'silent' });
let store: string;
beforeEach(async () => {
  store = await mkdtemp(join(tmpdir(), 'patchline-redis-test-'));
  delete process.env.REDIS_URL;
});
afterEach(async () => {
  delete process.env.REDIS_URL;
  await rm(store, { recursive: true });
});

/** The logger's lines, parsed. */
function recordingLogger() {
  const lines: Record<string, unknown>[] = [];
  const logger = pino({ level: 'debug' }, { write: (line: string) => void lines.push(JSON.parse(line)) });
  return { logger, lines };
}

test('REDIS_URL is used where it answers', async (context) => {
  requireService('redis-server', context);
  const server = await startRedisServer();
  process.env.REDIS_URL = server.url;
  expect(await findRedis(store)).toBe(server.url);
  expect(await findRedis('s3://bucket/store')).toBe(server.url);
  await server.stop();
});

test('a REDIS_URL that nobody answers at is QUEUE_UNREACHABLE with host and port, without the password', async () => {
  const port = await freePort();
  process.env.REDIS_URL = `redis://user:p4ssword@127.0.0.1:${port}/3`;
  const error = await findRedis(store).catch((error) => error);
  expect(error).toMatchObject({ code: 'QUEUE_UNREACHABLE', retryable: true });
  expect(error.message).toContain(`127.0.0.1:${port}`);
  expect(error.message).toContain('ECONNREFUSED');
  expect(JSON.stringify([error.message, error.details])).not.toContain('p4ssword');
});

test('a REDIS_URL behind which something accepts and stays silent is QUEUE_UNREACHABLE', async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  process.env.REDIS_URL = `redis://127.0.0.1:${(server.address() as AddressInfo).port}`;
  await expect(findRedis(store)).rejects.toMatchObject({
    code: 'QUEUE_UNREACHABLE',
    message: expect.stringContaining('no answer within'),
  });
  server.close();
});

test('a wrong password is QUEUE_UNREACHABLE with the reason', async (context) => {
  requireService('redis-server', context);
  const server = await startRedisServer();
  const redis = connectRedis(server.url, { logger: silent });
  await redis.call('CONFIG', 'SET', 'requirepass', 'right');
  redis.disconnect();
  for (const login of ['', ':wr0ng@']) {
    process.env.REDIS_URL = server.url.replace('//', `//${login}`);
    const error = await findRedis(store).catch((error) => error);
    expect(error).toMatchObject({ code: 'QUEUE_UNREACHABLE', message: expect.stringMatching(/NOAUTH|WRONGPASS/) });
    expect(error.message).not.toContain('wr0ng');
  }
  process.env.REDIS_URL = server.url.replace('//', '//:right@');
  expect(await findRedis(store)).toBe(process.env.REDIS_URL);
  await server.stop();
});

test('a REDIS_URL that is none is CONFIG_INVALID and not repeated', async () => {
  for (const url of ['localhost:6379', 'http://127.0.0.1:6379', 'redis://', 'p4ssword']) {
    process.env.REDIS_URL = url;
    const error = await findRedis(store).catch((error) => error);
    expect(error).toMatchObject({ code: 'CONFIG_INVALID', message: expect.stringContaining('REDIS_URL') });
    expect(error.message).not.toContain('p4ssword');
  }
});

test('without REDIS_URL and without a server it says what to start', async () => {
  const start = { code: 'QUEUE_UNREACHABLE', message: expect.stringMatching(/patchline up.*REDIS_URL/) };
  await expect(findRedis(store)).rejects.toMatchObject(start);
  await expect(findRedis(join(store, 'none'))).rejects.toMatchObject(start);
  await expect(findRedis('s3://bucket/store')).rejects.toMatchObject({
    code: 'QUEUE_UNREACHABLE',
    message: expect.stringContaining('REDIS_URL'),
  });
});

test('a redis.json that a crash left, or that is none, does not mislead', async () => {
  const nobody = await freePort();
  const texts = [
    JSON.stringify({ url: `redis://127.0.0.1:${nobody}`, pid: process.pid }), // the pid lives again as something else
    JSON.stringify({ url: `redis://127.0.0.1:${nobody}`, pid: 2 ** 30 }),
    '{"url": "redis://127',
    '[]',
    '{"pid": 1}',
    '',
  ];
  for (const text of texts) {
    await writeFile(join(store, 'redis.json'), text);
    await expect(findRedis(store), text).rejects.toMatchObject({ code: 'QUEUE_UNREACHABLE' });
  }
});

test('a redis.json whose process is gone is not used even where a Redis answers at its port', async (context) => {
  requireService('redis-server', context);
  const server = await startRedisServer();
  await writeFile(join(store, 'redis.json'), JSON.stringify({ url: server.url, pid: 2 ** 30 }));
  await expect(findRedis(store)).rejects.toMatchObject({ code: 'QUEUE_UNREACHABLE' });
  await writeFile(join(store, 'redis.json'), JSON.stringify({ url: server.url, pid: server.pid }));
  expect(await findRedis(store)).toBe(server.url);
  await server.stop();
});

test('only noeviction is accepted', async (context) => {
  requireService('redis-server', context);
  const server = await startRedisServer({ args: ['--maxmemory-policy', 'allkeys-lru'] });
  const redis = connectRedis(server.url, { logger: silent });
  await expect(assertNoEviction(redis)).rejects.toMatchObject({
    code: 'REDIS_EVICTS',
    message: expect.stringMatching(/127\.0\.0\.1:\d+.*allkeys-lru.*maxmemory-policy noeviction/),
  });
  await redis.call('CONFIG', 'SET', 'maxmemory-policy', 'noeviction');
  await assertNoEviction(redis);
  redis.disconnect();
  await server.stop();
});

test('a connection outlives its server and says so once', async (context) => {
  requireService('redis-server', context);
  const server = await startRedisServer();
  const { logger, lines } = recordingLogger();
  const redis = connectRedis(server.url, { logger });
  expect(await redis.ping()).toBe('PONG');
  expect(lines).toEqual([]);
  await server.kill();
  const answer = redis.ping(); // waits while Redis is away
  for (let attempts = 0; attempts < 3; attempts++) await new Promise((done) => redis.once('reconnecting', done));
  await server.restart();
  expect(await answer).toBe('PONG');
  const port = new URL(server.url).port;
  expect(lines.map(({ level, address }) => [level, address])).toEqual([
    [40, `127.0.0.1:${port}`],
    [30, `127.0.0.1:${port}`],
  ]);
  redis.disconnect();
  await server.stop();
});
