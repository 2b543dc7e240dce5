import { Redis } from 'ioredis';
import { PatchlineError } from './errors.js';
import type { Logger } from './logger.js';
import { liveRedisOf } from './redis-address.js';
import { addressOf, pingRedis, reasonOf } from './redis-ping.js';
import { isS3Url } from './store/s3-client.js';

export interface ConnectOptions {
  logger: Logger;
  /**
   * Whether a command whose connection broke before its answer came is sent once more; by default it is. Otherwise it is
   * rejected: for what must not happen twice.
   */
  resend?: boolean;
}

/**
 * A connection that never gives up: commands wait while Redis is away, which is said once when it goes and once when it is back.
 * Throws CONFIG_INVALID for an address that is none.
 */
export function connectRedis(url: string, { logger, resend = true }: ConnectOptions): Redis {
  const address = addressOf(url);
  const redis = new Redis(url, {
    maxRetriesPerRequest: resend ? null : 0, // null for BullMQ's workers: a blocking command has no end of its own
    retryStrategy: (attempt) => Math.min(100 * attempt, 2_000),
  });
  let away = false;
  redis.on('error', (error: Error) => {
    if (!away) logger.warn({ address, reason: reasonOf(error) }, 'Redis does not answer; trying again until it does');
    away = true;
  });
  redis.on('ready', () => {
    if (away) logger.info({ address }, 'Redis answers again');
    away = false;
  });
  return redis;
}

/** Throws REDIS_EVICTS unless Redis keeps every job: its policy must be noeviction. Read from INFO, since CONFIG is often barred. */
export async function assertNoEviction(redis: Redis): Promise<void> {
  const policy = /^maxmemory_policy:(\S+)/m.exec(await redis.info('memory'))?.[1];
  if (policy === 'noeviction') return;
  const { host, port } = redis.options;
  throw new PatchlineError(
    'REDIS_EVICTS',
    `Expected maxmemory-policy noeviction of Redis at ${host}:${port} but received ${policy ?? 'none'}: it may drop jobs when its ` +
      'memory is full. Set `maxmemory-policy noeviction` in its configuration, or run `redis-cli config set maxmemory-policy noeviction`',
    { details: { address: `${host}:${port}`, policy } },
  );
}

/**
 * The address of the Redis to use with a store: REDIS_URL, else that of the server that `patchline up` runs for the store.
 * Throws QUEUE_UNREACHABLE, with what to start, where there is none or it does not answer; CONFIG_INVALID for a wrong REDIS_URL.
 */
export async function findRedis(storeUrl: string): Promise<string> {
  const url = process.env.REDIS_URL;
  if (url) {
    const address = addressOf(url);
    const reason = await pingRedis(url, 3_000);
    if (reason === undefined) return url;
    throw unreachable(`Expected Redis at ${address} (REDIS_URL) to answer but it does not: ${reason}`, { address });
  }
  if (isS3Url(storeUrl)) {
    throw unreachable(
      `Expected REDIS_URL, since a store in S3 (${storeUrl}) has no Redis of its own; set it to redis://host:port`,
    );
  }
  const live = await liveRedisOf(storeUrl);
  if (live) return live.url;
  throw unreachable(
    `Expected a running Redis for ${storeUrl} but found none; start \`patchline up --store ${storeUrl}\`, or set REDIS_URL`,
  );
}

function unreachable(message: string, details: Record<string, unknown> = {}): PatchlineError {
  return new PatchlineError('QUEUE_UNREACHABLE', message, { retryable: true, details });
}
