import { createProducer, type Producer } from '../producer/enqueue.js';
import { openQueues, type Queues } from '../shared/queues.js';
import { assertNoEviction, findRedis } from '../shared/redis.js';
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
  const queues = openQueues(await findRedis(store.url), config.queue, logger);
  try {
    await assertNoEviction(queues.redis);
    return await work({ ...session, queues, producer: createProducer(store, queues, config) });
  } finally {
    await queues.close();
  }
}

/** Resolves when the process is asked to end, by Ctrl-C or SIGTERM. */
export function untilAskedToEnd(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve(signal));
  });
}
