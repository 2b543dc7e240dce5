import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { startEmbeddedRedis } from '../../src/shared/embedded-redis.js';
import { createLogger } from '../../src/shared/logger.js';
import { startRedisServer } from './redis-server.js';
import { locateService } from './services.js';

export interface TestRedis {
  url: string;
  /** Loses everything, as FLUSHALL does. */
  flush(): Promise<void>;
  stop(): Promise<void>;
}

export interface RedisKind {
  name: string;
  open(): Promise<TestRedis>;
}

async function flush(url: string): Promise<void> {
  const redis = new Redis(url);
  await redis.flushall();
  redis.disconnect();
}

const embedded: RedisKind = {
  name: 'the embedded server',
  async open() {
    const directory = await mkdtemp(join(tmpdir(), 'patchline-embedded-'));
    const server = await startEmbeddedRedis(directory, { logger: createLogger('silent'), onRestart: () => {} });
    const stop = async () => {
      await server.stop();
      await rm(directory, { recursive: true, force: true });
    };
    return { url: server.url, flush: () => flush(server.url), stop };
  },
};

const real: RedisKind = {
  name: 'redis-server',
  async open() {
    const { url, stop } = await startRedisServer();
    return { url, flush: () => flush(url), stop };
  },
};

/** Where tests of the queues run: always on the embedded server, on a real one where it is installed, which CI demands. */
export function redisKinds(): RedisKind[] {
  if (locateService('redis-server')) return [embedded, real];
  if (process.env.CI === 'true') throw new Error('redis-server is not installed, and CI tests nothing by halves');
  console.log('redis-server is not installed: the queues are tested on the embedded server only');
  return [embedded];
}
