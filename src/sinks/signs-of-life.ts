import type { Redis } from 'ioredis';
import { z } from 'zod';
import type { QueueConfig } from '../shared/config.js';
import type { Trouble } from './deliveries.js';

/** Where running sinks say that they run, with the time on their clock, and that their receiver is away. */
const processesKey = ({ prefix }: QueueConfig, sink: string): string => `${prefix}:sink:${sink}:processes`;
const troubleKey = ({ prefix }: QueueConfig, sink: string): string => `${prefix}:sink:${sink}:trouble`;

const troubleSchema = z.strictObject({ since: z.string(), reason: z.string() });

/** A process that has been silent for longer is gone. */
const silentMs = 30_000;

export interface SignsOfLife {
  /** Processes that run the sink. */
  processes: number;
  /** Why nothing is delivered at the moment. */
  trouble: Trouble | null;
}

export async function giveSign(
  redis: Redis,
  queue: QueueConfig,
  { sink, consumer, trouble }: { sink: string; consumer: string; trouble: Trouble | undefined },
): Promise<void> {
  const now = Date.now();
  await redis.zadd(processesKey(queue, sink), now, consumer);
  await redis.zremrangebyscore(processesKey(queue, sink), '-inf', now - silentMs);
  if (trouble) await redis.set(troubleKey(queue, sink), JSON.stringify(trouble), 'PX', silentMs);
  else await redis.del(troubleKey(queue, sink));
}

export async function takeLeave(redis: Redis, queue: QueueConfig, sink: string, consumer: string): Promise<void> {
  await redis.zrem(processesKey(queue, sink), consumer);
}

export async function readSigns(redis: Redis, queue: QueueConfig, sink: string): Promise<SignsOfLife> {
  const processes = await redis.zcount(processesKey(queue, sink), Date.now() - silentMs, '+inf');
  const trouble = await redis.get(troubleKey(queue, sink));
  return { processes, trouble: trouble === null ? null : troubleSchema.parse(JSON.parse(trouble)) };
}
