import { Redis } from 'ioredis';
import { messageOf, PatchlineError } from './errors.js';

/** Asks Redis whether it is there: undefined if so, else why not. */
export async function pingRedis(url: string, timeoutMs: number): Promise<string | undefined> {
  const redis = new Redis(url, { lazyConnect: true, retryStrategy: null, connectTimeout: timeoutMs });
  let reason: string | undefined;
  redis.on('error', (error: Error) => {
    reason = reasonOf(error);
  });
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${timeoutMs} ms`)), timeoutMs);
  });
  try {
    await Promise.race([redis.connect().then(() => redis.ping()), timeout]);
    return undefined;
  } catch (error) {
    return reason ?? reasonOf(error);
  } finally {
    clearTimeout(timer);
    redis.disconnect();
  }
}

/** Host and port of a Redis address, without user and password. Throws CONFIG_INVALID for what is none, and does not repeat it. */
export function addressOf(url: string): string {
  const { protocol, hostname, port } = URL.canParse(url) ? new URL(url) : {};
  if (!hostname || (protocol !== 'redis:' && protocol !== 'rediss:')) {
    throw new PatchlineError(
      'CONFIG_INVALID',
      'Expected REDIS_URL of the form redis://[user:password@]host[:port][/database]',
    );
  }
  return `${hostname}:${port || 6379}`;
}

/** A Redis address as it may be shown: without user and password. */
export function shownAddress(url: string): string {
  const shown = new URL(url);
  shown.username = '';
  shown.password = '';
  return shown.href;
}

export const reasonOf = (error: unknown): string =>
  messageOf(error) || (error instanceof Error && 'code' in error ? String(error.code) : 'no reason given');
