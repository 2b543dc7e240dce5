import { FlowProducer, type Job, type JobsOptions, Queue } from 'bullmq';
import type { Redis } from 'ioredis';
import type { QueueConfig } from './config.js';
import { type Inspection, type InspectionEvent, type Stage, stageNames } from './contracts.js';
import type { Logger } from './logger.js';
import { connectRedis } from './redis.js';

/** One queue per stage, the producer of flows and the two event streams, over one Redis. */
export interface Queues {
  url: string;
  config: QueueConfig;
  redis: Redis;
  /** By stage. */
  queue: Record<Stage, Queue>;
  flow: FlowProducer;
  close(): Promise<void>;
}

export function openQueues(url: string, config: QueueConfig, logger: Logger): Queues {
  const redis = connectRedis(url, { logger });
  // A flow sent again after a reconnect would hang its parent for ever, so a broken connection rejects it instead.
  const flowConnection = connectRedis(url, { logger, resend: false });
  const logError = (error: Error) => logger.warn({ err: error }, 'queue error');
  const open = (stage: Stage) => new Queue(stage, { prefix: config.prefix, connection: redis }).on('error', logError);
  const queue = Object.fromEntries(stageNames.map((stage) => [stage, open(stage)])) as Record<Stage, Queue>;
  const flow = new FlowProducer({ prefix: config.prefix, connection: flowConnection });
  flow.on('error', logError);
  return {
    url,
    config,
    redis,
    queue,
    flow,
    async close() {
      await Promise.all([...Object.values(queue).map((each) => each.close()), flow.close()]);
      redis.disconnect();
      flowConnection.disconnect();
    },
  };
}

/** The fixed id of an inspection's score or finalize job. */
export const jobIdOf = (inspectionId: string, stage: 'score' | 'finalize'): string => `${inspectionId}-${stage}`;

/** Options that every job carries: a flow's nodes inherit none from each other. */
export function jobOptions(inspection: Inspection, jobId: string, config: QueueConfig): JobsOptions {
  return {
    jobId,
    priority: inspection.priority,
    attempts: 3,
    backoff: { type: 'exponential', delay: config.backoffMs },
    removeOnComplete: { count: config.keepCompleted },
    removeOnFail: { count: 100_000 },
  };
}

export interface JobState {
  exists: boolean;
  /** It has not finished: waiting, delayed, active or waiting for its children. */
  live: boolean;
}

/** One look at a job's hash; cheap where getJobState would scan lists. */
export async function lookAt({ redis, queue }: Queues, stage: Stage, jobId: string): Promise<JobState> {
  const [timestamp, finishedOn] = await redis.hmget(queue[stage].toKey(jobId), 'timestamp', 'finishedOn');
  return { exists: timestamp !== null, live: timestamp !== null && finishedOn === null };
}

/** The job if it is in its queue's failed set. (failedReason alone says nothing: it stays after a later success.) */
export async function failedJob({ queue }: Queues, stage: Stage, jobId: string): Promise<Job | undefined> {
  const job: Job | undefined = await queue[stage].getJob(jobId);
  return job && (await job.isFailed()) ? job : undefined;
}

/**
 * Whether a waiting parent will wait for ever: one of its children has finished or is gone and still stands in its
 * dependencies (finishing and leaving that set are one step in Redis). Looks into the children's own children too.
 */
export async function isStuck(redis: Redis, jobKey: string): Promise<boolean> {
  for (const child of await redis.smembers(`${jobKey}:dependencies`)) {
    const [timestamp, finishedOn] = await redis.hmget(child, 'timestamp', 'finishedOn');
    const dead = timestamp === null || finishedOn !== null;
    if (dead && (await redis.sismember(`${jobKey}:dependencies`, child))) return true;
    if (await isStuck(redis, child)) return true;
  }
  return false;
}

export type EventStream = 'verdicts' | 'results';
export const streamKey = (config: QueueConfig, stream: EventStream): string => `${config.prefix}:${stream}`;

/** Appends an event; the stream keeps about the last million. */
export async function publish({ redis, config }: Queues, stream: EventStream, event: InspectionEvent): Promise<void> {
  await redis.xadd(streamKey(config, stream), 'MAXLEN', '~', 1_000_000, '*', 'event', JSON.stringify(event));
}

/** Inspections under way: score jobs that wait and finalize jobs that wait for their children. */
export async function countBacklog({ queue }: Queues): Promise<number> {
  const [score, finalize] = await Promise.all([
    queue.score.getJobCounts('waiting', 'prioritized'),
    queue.finalize.getJobCounts('waiting-children'),
  ]);
  return score.waiting! + score.prioritized! + finalize['waiting-children']!;
}
