import { type Job, UnrecoverableError, Worker } from 'bullmq';
import { z } from 'zod';
import { inspectionSchema, type Stage } from '../shared/contracts.js';
import { codeOf, messageOf, PatchlineError } from '../shared/errors.js';
import type { Logger } from '../shared/logger.js';
import type { Queues } from '../shared/queues.js';
import { connectRedis } from '../shared/redis.js';
import { leaveFailed } from '../shared/results.js';
import type { ObjectStore } from '../shared/store/object-store.js';
import { openLiveSlot } from './live-slot.js';

/** What a handler may know of the job that carries its data. */
export interface JobTools {
  job: Job;
  logger: Logger;
  /** Renews the job's lock; false where another run has taken the job over. */
  keepLock(): Promise<boolean>;
}

export interface StageWorker<Data, Result> {
  stage: Stage;
  contract: { data: z.ZodType<Data>; result: z.ZodType<Result> };
  handle(data: Data, tools: JobTools): Promise<Result>;
  /** Jobs under way at once. */
  concurrency: number;
  queues: Queues;
  store: ObjectStore;
  logger: Logger;
}

export interface RunningWorker {
  /** Finishes the active jobs and what their failures leave to write, then lets go of Redis. */
  close(): Promise<void>;
}

/** Errors that say that another worker has taken over a job of this one: the protocol allows for them. */
const takenOver = /Missing lock|Lock mismatch|could not renew lock|Missing key/;

const anyInspection = z.object(inspectionSchema.shape);

/** Takes jobs of one stage from its queue: checks data and result, classifies errors, writes down what failed for good. */
export function runWorker<Data, Result>(options: StageWorker<Data, Result>): RunningWorker {
  const { stage, queues, concurrency, logger } = options;
  const { prefix, lockDurationMs, stalledIntervalMs } = queues.config;
  const connection = connectRedis(queues.url, { logger });
  const liveSlot = openLiveSlot(
    () => worker,
    concurrency,
    () => queues.redis.llen(queues.queue[stage].toKey('wait')),
  );
  const process = (job: Job, token?: string) =>
    liveSlot.running((job.opts.priority ?? 0) > 0, () => runJob(options, job, token!));
  const worker: Worker = new Worker(stage, process, {
    prefix,
    connection,
    concurrency,
    lockDuration: lockDurationMs,
    stalledInterval: stalledIntervalMs,
    maxStalledCount: 3,
  });
  worker.on('error', (error) => {
    const level = takenOver.test(error.message) ? 'warn' : 'error';
    logger[level]({ stage, err: error }, 'worker error');
  });

  // close() does not wait for listeners, so what they still write is kept here.
  const writing = new Set<Promise<void>>();
  worker.on('failed', (job, error) => {
    const write = onFailed(options, job, error).finally(() => writing.delete(write));
    writing.add(write);
  });
  return {
    async close() {
      liveSlot.stop();
      await worker.close();
      await Promise.all(writing);
      connection.disconnect();
    },
  };
}

async function runJob<Data, Result>(
  { stage, contract, handle, queues, logger }: StageWorker<Data, Result>,
  job: Job,
  token: string,
): Promise<Result> {
  const { inspectionId, camera } = job.data ?? {};
  const jobLogger = logger.child({ stage, inspectionId, camera });
  const keepLock = async () => (await job.extendLock(token, queues.config.lockDurationMs)) === 1;
  try {
    const data = check(contract.data, job.data, `data of ${stage} job ${job.id}`);
    const result = await handle(data, { job, logger: jobLogger, keepLock });
    return check(contract.result, result, `result of ${stage} job ${job.id}`);
  } catch (error) {
    jobLogger.warn({ err: error, attempt: job.attemptsMade + 1 }, 'attempt failed');
    const text = `${codeOf(error)}: ${messageOf(error)}`;
    const retryable = !(error instanceof PatchlineError) || error.retryable;
    throw retryable ? new Error(text, { cause: error }) : new UnrecoverableError(text);
  }
}

function check<T>(schema: z.ZodType<T>, value: unknown, name: string): T {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new PatchlineError('CONTRACT_VIOLATED', `${name}: ${z.prettifyError(parsed.error)}`);
}

/** Said after every attempt; only the last one, and only of a stage without which there is no result, leaves a failed result. */
async function onFailed(
  { stage, queues, store, logger }: Pick<StageWorker<never, never>, 'stage' | 'queues' | 'store' | 'logger'>,
  job: Job | undefined,
  error: Error,
): Promise<void> {
  if (!job?.finishedOn || (stage !== 'score' && stage !== 'finalize')) return;
  try {
    await leaveFailed({ store, queues }, anyInspection.parse(job.data), stage, error.message);
  } catch (failure) {
    // The job stays in the failed set; reconcile writes its result from there.
    logger.error({ stage, jobId: job.id, err: failure }, 'failed result not written');
  }
}
