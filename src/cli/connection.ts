import { createProducer, type Producer } from '../producer/enqueue.js';
import type { Logger } from '../shared/logger.js';
import { openQueues, type Queues } from '../shared/queues.js';
import { assertNoEviction, connectRedis, findRedis } from '../shared/redis.js';
import { type CommonOptions, openSession, type Session } from './command-line.js';

export interface Connection extends Session {
  queues: Queues;
  producer: Producer;
}

/** Opens store and queues for a command, and closes the queues after it. @throws QUEUE_UNREACHABLE, REDIS_EVICTS */
export async function withConnection<T>(
  options: CommonOptions,
  work: (connection: Connection) => Promise<T>,
): Promise<T> {
  const session = await openSession(options);
  const { store, config, logger } = session;
  const url = await findRedis(store.url);
  await assertKeeping(url, logger);
  const queues = openQueues(url, config.queue, logger);
  try {
    return await work({ ...session, queues, producer: createProducer(store, queues, config) });
  } finally {
    await queues.close();
  }
}

/** Asked before a queue is opened, since BullMQ prints a remark of its own for each. @throws REDIS_EVICTS */
async function assertKeeping(url: string, logger: Logger): Promise<void> {
  const redis = connectRedis(url, { logger });
  try {
    await assertNoEviction(redis);
  } finally {
    redis.disconnect();
  }
}

/** A signal for work that can be broken off, aborted by Ctrl-C or SIGTERM; after `stop` these end the process again. */
export function abortWhenAskedToEnd(): { signal: AbortSignal; stop(): void } {
  const controller = new AbortController();
  const abort = () => controller.abort();
  const names = ['SIGINT', 'SIGTERM'] as const;
  for (const name of names) process.once(name, abort);
  return {
    signal: controller.signal,
    stop() {
      for (const name of names) process.off(name, abort);
    },
  };
}

/** Resolves when the process is asked to end, by Ctrl-C or SIGTERM. */
export function untilAskedToEnd(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve(signal));
  });
}
