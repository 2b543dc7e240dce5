import { setTimeout as sleep } from 'node:timers/promises';
import { UnrecoverableError, Worker } from 'bullmq';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { retryFailed } from '../../src/producer/failed-inspections.js';
import { reconcile } from '../../src/producer/reconcile.js';
import { runAgain } from '../../src/producer/restart.js';
import type { Inspection, ScoredInspection } from '../../src/shared/contracts.js';
import { stageNames } from '../../src/shared/contracts.js';
import { PatchlineError } from '../../src/shared/errors.js';
import { inspectionIdOf, resultKey, workKey } from '../../src/shared/keys.js';
import { failedJob, jobIdOf, lookAt } from '../../src/shared/queues.js';
import { leaveFailed } from '../../src/shared/results.js';
import { type ListOptions, type ObjectStore, putJson } from '../../src/shared/store/object-store.js';
import type { ChildOutcomes } from '../../src/workers/child-outcomes.js';
import { finalize } from '../../src/workers/finalize.js';
import { flowOf } from '../../src/workers/flow.js';
import { cutAfterExec } from '../helpers/cutting-proxy.js';
import { type RedisKind, redisKinds, type TestRedis } from '../helpers/redis-kinds.js';
import { finalizeIsLive, gate, openStandInLine, type StandInLine, until } from '../helpers/stand-in-line.js';

const broken = () => {
  throw new PatchlineError('IMAGE_UNREADABLE', 'broken for good');
};

const outcomes = (status: 'done' | 'failed'): ChildOutcomes => ({
  explanations: { gradcam: { status }, features: { status }, shap: { status } },
});

describe.each(redisKinds())('queue protocol on $name', ({ open }: RedisKind) => {
  let redis: TestRedis;
  let line: StandInLine;
  beforeAll(async () => {
    redis = await open();
  });
  afterAll(() => redis.stop());
  beforeEach(async () => {
    line = await openStandInLine(redis.url);
  });
  afterEach(() => line.close());

  const statusOf = async (inspection: Inspection) => (await line.result(inspection))?.status;
  const settled = (inspection: Inspection) =>
    until('a result and idle queues', async () => (await line.idle()) && (await statusOf(inspection)) !== undefined);
  const jobsOf = async (stage: (typeof stageNames)[number], { inspectionId }: Inspection) => {
    const jobs = await line.queues.queue[stage].getJobs();
    return jobs.filter((job) => job?.data.inspectionId === inspectionId);
  };
  /** Lets go of the lock of a job under way, as a worker that froze does, so that another run takes the job over. */
  const loseLock = (inspection: Inspection) =>
    line.queues.redis.del(`${line.queues.queue.score.toKey(jobIdOf(inspection.inspectionId, 'score'))}:lock`);

  test('an anomalous image runs through the whole flow and deletes its work object', async () => {
    const image = await line.image('anomalous');
    line.start(...stageNames);
    await line.enqueue(image);
    await settled(image);
    const result = await line.result(image);
    expect(result).toMatchObject({ status: 'done', verdict: 'anomalous' });
    expect(result).toHaveProperty('explanations', {
      gradcam: { status: 'done', key: 'gradcam.npy' },
      features: { status: 'done' },
      shap: { status: 'done' },
    });
    expect(await line.store.head(workKey(image.inspectionId))).toBeUndefined();
    expect((await line.events('verdicts', image)).map(({ status }) => status)).toEqual([null]);
    expect((await line.events('results', image)).map(({ status }) => status)).toEqual(['done']);
  });

  test('a good image under "flagged" goes to finalize alone', async () => {
    const image = await line.image('good');
    line.start('score', 'finalize');
    await line.enqueue(image);
    await settled(image);
    expect(await line.result(image)).not.toHaveProperty('explanations');
    expect(await line.result(image)).toMatchObject({ status: 'done', verdict: 'good' });
  });

  test('every failing explainer leaves an incomplete result that names it, and keeps the work object', async () => {
    const cases = [
      ['gradcam', { gradcam: { status: 'failed', code: 'IMAGE_UNREADABLE' }, shap: { status: 'done' } }],
      ['shap', { features: { status: 'done' }, shap: { status: 'failed', code: 'IMAGE_UNREADABLE' } }],
      [
        'features',
        {
          gradcam: { status: 'done' },
          features: { status: 'failed', code: 'IMAGE_UNREADABLE', message: 'broken for good' },
          shap: { status: 'skipped', code: 'FEATURES_FAILED' },
        },
      ],
    ] as const;
    line.start(...stageNames);
    for (const [stage, explanations] of cases) {
      const image = await line.image('anomalous');
      line.interventions[stage] = broken;
      await line.enqueue(image);
      await settled(image);
      delete line.interventions[stage];
      expect(await line.result(image)).toMatchObject({ status: 'incomplete', policy: 'flagged', explanations });
      expect(await line.store.head(workKey(image.inspectionId))).toBeDefined();
    }
  });

  test('a child left in the failed set is not taken for a child of a new flow', async () => {
    const image = await line.image('anomalous');
    line.interventions.gradcam = broken;
    line.start(...stageNames);
    await line.enqueue(image);
    await settled(image);
    const job = await line.queues.queue.finalize.getJob(jobIdOf(image.inspectionId, 'finalize'));
    await job!.remove({ removeChildren: false }); // trimmed, while the dead child is kept
    delete line.interventions.gradcam;
    expect(await retryFailed(line.producer, [image.inspectionId])).toMatchObject({ retried: 1 });
    await until('done', async () => (await statusOf(image)) === 'done');
    expect(await jobsOf('gradcam', image)).toHaveLength(1);
  });

  test('a connection cut after EXEC does not send the flow again', async () => {
    const proxy = await cutAfterExec(redis.url);
    const cut = await openStandInLine(proxy.url);
    try {
      // Sent again, the flow would make finalize wait for its dead gradcam for ever.
      cut.interventions.gradcam = broken;
      const scored = gate();
      cut.interventions.features = () => scored.passed;
      const image = await cut.image('anomalous');
      cut.start(...stageNames);
      await cut.enqueue(image);
      const jobId = jobIdOf(image.inspectionId, 'score');
      await until('score to finish', async () => {
        const { exists, live } = await lookAt(cut.queues, 'score', jobId);
        return exists && !live;
      });
      scored.open();
      await until('a result', async () => (await cut.result(image)) !== undefined && (await cut.idle()));
      expect(proxy.cuts()).toBe(1);
      expect(await cut.result(image)).toMatchObject({ status: 'incomplete' });
      expect(await cut.queues.queue.gradcam.getJobs()).toHaveLength(1);
    } finally {
      await cut.close();
      await proxy.close();
    }
  });

  test('a run that froze before the flow and lost its lock adds none', async () => {
    const image = await line.image('anomalous');
    const gates = [gate(), gate()];
    let runs = 0;
    const refusals: unknown[] = [];
    line.interventions.beforeFlow = () => gates[runs++]?.passed;
    line.interventions.afterFlow = (refusal) => refusals.push(refusal);
    line.start('score');
    await line.enqueue(image);
    await until('the first run to be held', () => runs === 1);
    await loseLock(image);
    await until('the second run to be held', () => runs === 2);
    gates[0]!.open(); // the frozen run goes on: it sees no finalize and no result, but the lock is another's
    await until('the first run to end', () => refusals.length === 1);
    expect(refusals[0]).toMatchObject({ code: 'LOCK_LOST' });
    gates[1]!.open();
    line.start('gradcam', 'features', 'shap', 'finalize');
    await settled(image);
    expect(await statusOf(image)).toBe('done');
    expect(await jobsOf('gradcam', image)).toHaveLength(1);
  });

  test('a score job run again finds the flow waiting, active, complete or trimmed and leaves it alone', async () => {
    const image = await line.image('anomalous');
    const scoreAgain = async () => {
      const job = await line.queues.queue.score.getJob(jobIdOf(image.inspectionId, 'score'));
      await job?.remove();
      await line.enqueue(image);
      await until('score to finish', async () => {
        const [again] = await jobsOf('score', image);
        return again?.finishedOn !== undefined;
      });
    };
    line.start('score');
    await line.enqueue(image);
    await until('the flow to wait', () => finalizeIsLive(line, image));
    await scoreAgain();
    expect(await jobsOf('gradcam', image)).toHaveLength(1);

    const active = gate();
    let held = false;
    line.interventions.finalize = () => {
      held = true;
      return active.passed;
    };
    line.start('gradcam', 'features', 'shap', 'finalize');
    await until('finalize to be active', () => held);
    await scoreAgain();
    active.open();
    await settled(image);
    await scoreAgain(); // complete
    const finished = await line.queues.queue.finalize.getJob(jobIdOf(image.inspectionId, 'finalize'));
    await finished!.remove({ removeChildren: false });
    await scoreAgain(); // trimmed: the result tells
    expect(await line.idle()).toBe(true);
    expect(await jobsOf('finalize', image)).toHaveLength(0);
    expect(await line.events('results', image)).toHaveLength(1);
    expect(await jobsOf('gradcam', image)).toHaveLength(1);
  });

  test('a failure that is not the last attempt leaves nothing, the last one a failed result and its events', async () => {
    line.start('score', 'finalize');
    const recovering = await line.image('good');
    let attempts = 0;
    line.interventions.score = () => {
      if (++attempts < 3) throw new Error('for now');
    };
    await line.enqueue(recovering);
    await settled(recovering);
    expect(await statusOf(recovering)).toBe('done');
    expect((await line.events('results', recovering)).map(({ status }) => status)).toEqual(['done']);
    // failedReason stays after a later success, so it is no sign of failure
    const job = await line.queues.queue.score.getJob(jobIdOf(recovering.inspectionId, 'score'));
    expect(job!.failedReason).toContain('for now');
    expect(await failedJob(line.queues, 'score', job!.id!)).toBeUndefined();

    line.interventions.score = broken;
    const dead = await line.image('good');
    await line.enqueue(dead);
    await settled(dead);
    expect(await line.result(dead)).toMatchObject({
      status: 'failed',
      error: { code: 'IMAGE_UNREADABLE', message: 'broken for good', stage: 'score' },
      policy: 'flagged',
      priority: 0,
    });
    for (const stream of ['verdicts', 'results'] as const) {
      expect((await line.events(stream, dead)).map(({ status }) => status)).toEqual(['failed']);
    }
    delete line.interventions.score;

    line.interventions.finalize = broken;
    const unjoined = await line.image('good');
    await line.enqueue(unjoined);
    await settled(unjoined);
    expect(await line.result(unjoined)).toMatchObject({ status: 'failed', error: { stage: 'finalize' } });
    expect((await line.events('verdicts', unjoined)).map(({ status }) => status)).toEqual([null]);
  });

  test('a result never gets worse', async () => {
    const image = await line.image('anomalous');
    line.start(...stageNames);
    await line.enqueue(image);
    await settled(image);
    expect(await leaveFailed(line, image, 'score', 'late')).toBe(false);
    expect((await line.events('results', image)).map(({ status }) => status)).toEqual(['done']);
    const data: ScoredInspection = (await jobsOf('finalize', image))[0]!.data;
    const context = { store: line.store, publishResult: async () => {} };
    const status = await finalize(data, { ...context, childOutcomes: async () => outcomes('failed') });
    expect(status).toEqual({ status: 'done' });
    expect(await statusOf(image)).toBe('done');
  });

  test('a failed result loses the race against a result that came between its look and its write', async () => {
    const image = await line.image('good');
    const racing: ObjectStore = Object.create(line.store, {
      head: { value: async () => undefined }, // looked before the other result was there
    });
    await putJson(line.store, resultKey(image.inspectionId), { winner: true });
    expect(await leaveFailed({ store: racing, queues: line.queues }, image, 'score', 'late')).toBe(false);
    expect(new TextDecoder().decode(await line.store.get(resultKey(image.inspectionId)))).toContain('winner');
  });

  test('closing a worker waits for the failed result it is writing', async () => {
    const image = await line.image('good');
    const written = gate();
    const put = line.store.putIfAbsent.bind(line.store);
    let writing = false;
    line.store.putIfAbsent = async (...args) => {
      writing = true;
      await written.passed;
      return await put(...args);
    };
    line.interventions.score = broken;
    const worker = line.start('score');
    await line.enqueue(image);
    await until('the failure handler to write', () => writing);
    let closed = false;
    const closing = worker.close().then(() => {
      closed = true;
    });
    await until('the queue to be let go', async () => (await line.queues.queue.score.getWorkersCount()) === 0);
    expect(closed).toBe(false);
    written.open();
    await closing;
    expect(await statusOf(image)).toBe('failed');
  });

  test('finalize writes, tells, then deletes the work object: dying in between leaves the rest to do', async () => {
    const image = await line.image('anomalous');
    line.start('score');
    await line.enqueue(image);
    await until('the flow', () => finalizeIsLive(line, image));
    const data: ScoredInspection = (await jobsOf('finalize', image))[0]!.data;
    const context = { store: line.store, childOutcomes: async () => outcomes('done') };
    const dying = finalize(data, { ...context, publishResult: () => Promise.reject(new Error('gone')) });
    await expect(dying).rejects.toThrow('gone');
    expect(await statusOf(image)).toBe('done');
    expect(await line.store.head(workKey(image.inspectionId))).toBeDefined();
    await finalize(data, { ...context, publishResult: async () => {} });
    expect(await line.store.head(workKey(image.inspectionId))).toBeUndefined();
  });

  test('a job that stalled too often leaves a failed result without running again', async () => {
    const image = await line.image('good');
    const { prefix } = line.queues.config;
    await line.enqueue(image);
    const options = {
      prefix,
      connection: line.queues.redis,
      stalledInterval: 100,
      lockDuration: 100,
      maxStalledCount: 3,
    };
    const freezing = new Worker('score', null, { ...options, autorun: false });
    await freezing.startStalledCheckTimer();
    for (let stall = 0; stall < 4; stall++) {
      await until('the job to be taken', async () => (await freezing.getNextJob(`token-${stall}`)) !== undefined);
      await until('the job to stall', async () => (await line.queues.queue.score.getActiveCount()) === 0);
    }
    await freezing.close(true);
    let runs = 0;
    line.interventions.score = () => {
      runs++;
    };
    line.start('score', 'finalize');
    await settled(image);
    expect(runs).toBe(0);
    expect(await line.result(image)).toMatchObject({ status: 'failed', error: { stage: 'score' } });
  });

  test('a worker killed in its failure handler: reconcile writes the failed result from the failed set', async () => {
    const image = await line.image('good');
    const { prefix } = line.queues.config;
    await line.enqueue(image);
    const dying = new Worker('score', null, { prefix, connection: line.queues.redis, autorun: false });
    const job = (await dying.getNextJob('token'))!;
    await job.moveToFailed(new UnrecoverableError('IMAGE_UNREADABLE: not an image'), 'token');
    await dying.close(true);
    expect(await reconcile(line.producer, { settleMs: 0 })).toMatchObject({ failed: 1, enqueued: 0 });
    expect(await line.result(image)).toMatchObject({
      status: 'failed',
      error: { code: 'IMAGE_UNREADABLE', message: 'not an image', stage: 'score' },
    });
    expect(await line.events('results', image)).toHaveLength(1);
    expect(await reconcile(line.producer, { settleMs: 0 })).toMatchObject({ finished: 1, failed: 0 });
  });

  test('retry runs failed and incomplete inspections again, also after Redis was lost', async () => {
    line.start(...stageNames);
    const incomplete = await line.image('anomalous');
    line.interventions.features = broken;
    await line.enqueue(incomplete);
    await settled(incomplete);
    const failed = await line.image('good');
    line.interventions.score = broken;
    await line.enqueue(failed);
    await settled(failed);
    Object.assign(line.interventions, { features: undefined, score: undefined });

    for (const stage of stageNames) await line.queues.queue[stage].obliterate({ force: true });
    expect(await retryFailed(line.producer, 'all')).toEqual({ retried: 2, busy: 0, finished: 0 });
    await until(
      'both done',
      async () => (await statusOf(incomplete)) === 'done' && (await statusOf(failed)) === 'done',
    );
    expect(await retryFailed(line.producer, 'all')).toEqual({ retried: 0, busy: 0, finished: 0 });
  });

  test('retry with its dead jobs still there leaves none behind', async () => {
    line.start(...stageNames);
    const image = await line.image('anomalous');
    line.interventions.features = broken;
    await line.enqueue(image);
    await settled(image);
    delete line.interventions.features;
    expect(await retryFailed(line.producer, 'all')).toMatchObject({ retried: 1 });
    await until('done', async () => (await statusOf(image)) === 'done' && (await line.idle()));
    for (const stage of stageNames) expect(await line.queues.queue[stage].getFailedCount()).toBe(0);
  });

  test('a retry that died after deleting the result is finished by reconcile', async () => {
    const image = await line.image('anomalous');
    line.start(...stageNames);
    await line.enqueue(image);
    await settled(image);
    await line.store.delete(resultKey(image.inspectionId));
    expect(await reconcile(line.producer, { settleMs: 0 })).toMatchObject({ enqueued: 1 });
    await settled(image);
    expect(await statusOf(image)).toBe('done');
  });

  test('running again what is under way does nothing', async () => {
    const image = await line.image('good');
    await line.enqueue(image);
    expect(await runAgain(line, image)).toBe(false);
    line.start('score', 'finalize');
    await settled(image);
    expect(await runAgain(line, image)).toBe(true);
    await settled(image);
    expect(await line.events('results', image)).toHaveLength(2);
  });

  test('reconcile brings back what a lost Redis took, and nothing else', async () => {
    const images = await Promise.all([line.image('good'), line.image('anomalous'), line.image('good')]);
    const worker = line.start(...stageNames);
    await line.enqueue(images[0]!);
    await settled(images[0]!);
    await worker.close();
    for (const image of images.slice(1)) await line.enqueue(image);
    const keys = await line.queues.redis.keys(`${line.queues.config.prefix}:*`);
    await line.queues.redis.del(keys);
    expect(await reconcile(line.producer, { settleMs: 0 })).toMatchObject({ images: 3, finished: 1, enqueued: 2 });
    expect(await reconcile(line.producer, { settleMs: 0 })).toMatchObject({ finished: 1, live: 2, enqueued: 0 });
    line.start(...stageNames);
    for (const image of images) await settled(image);
    expect(await reconcile(line.producer, { settleMs: 0 })).toMatchObject({ finished: 3, enqueued: 0 });
  });

  test('reconcile mends a finalize job that waits for a child that is gone', async () => {
    const image = await line.image('anomalous');
    const scoring = line.start('score');
    await line.enqueue(image);
    await until('the flow', () => finalizeIsLive(line, image));
    await until('score to finish', async () => (await jobsOf('score', image))[0]?.finishedOn !== undefined);
    await scoring.close();
    const [gradcam] = await jobsOf('gradcam', image);
    await line.queues.redis.del(line.queues.queue.gradcam.toKey(gradcam!.id!));
    await line.queues.redis.lrem(line.queues.queue.gradcam.toKey('wait'), 0, gradcam!.id!);
    expect(await reconcile(line.producer, { settleMs: 0 })).toMatchObject({ enqueued: 1, live: 0 });
    line.start(...stageNames);
    await settled(image);
    expect(await statusOf(image)).toBe('done');
  });

  test('reconcile reads the result once more after its look at the jobs', async () => {
    const image = await line.image('good');
    line.start('score', 'finalize');
    await line.enqueue(image);
    await settled(image);
    for (const stage of stageNames) await line.queues.queue[stage].obliterate({ force: true });
    const list = line.store.list.bind(line.store);
    const stale: ObjectStore = Object.create(line.store, {
      // listed before the result was there
      list: {
        value: async (prefix: string, options?: ListOptions) =>
          prefix.startsWith('inspections/') ? { objects: [] } : list(prefix, options),
      },
    });
    expect(await reconcile({ ...line.producer, store: stale }, { settleMs: 0 })).toMatchObject({
      finished: 1,
      enqueued: 0,
    });
  });

  test('reconcile counts a result of any bundle version, and clears the jobs of an older one', async () => {
    const done = await line.image('good');
    const waiting = await line.image('good');
    const worker = line.start('score', 'finalize');
    await line.enqueue(done);
    await settled(done);
    await worker.close();
    await line.enqueue(waiting); // under v1
    await putJson(line.store, 'bundles/kol/v1/bundle.json', {});
    await putJson(line.store, 'bundles/kol/v2/bundle.json', {});
    await putJson(line.store, 'bundles/kol/active.json', { version: 'v2' });
    const producer = { ...line.producer, activeVersionOf: async () => 'v2' };
    expect(await reconcile(producer, { settleMs: 0 })).toMatchObject({ finished: 1, live: 1, enqueued: 0 });
    await line.queues.queue.score.obliterate({ force: true });
    expect(await reconcile(producer, { settleMs: 0 })).toMatchObject({ finished: 1, enqueued: 1 });
    const underV2 = inspectionIdOf(waiting.imageKey, 'kol', 'v2', waiting.capturedAt);
    expect(await line.queues.queue.score.getJob(jobIdOf(underV2, 'score'))).toBeDefined();
  });

  test('reconcile waits for an image that its producer is about to enqueue', async () => {
    const image = await line.image('good');
    const reconciling = reconcile(line.producer, { settleMs: 1_500 });
    await Promise.race([reconciling, sleep(500)]); // long after it has seen the image
    await line.enqueue(image);
    expect(await reconciling).toMatchObject({ live: 1, enqueued: 0 });
  });

  test('a bundle activated between enqueue and score does not change what the job means', async () => {
    const image = await line.image('good');
    await line.enqueue(image);
    await putJson(line.store, 'bundles/kol/active.json', { version: 'v2' });
    line.start('score', 'finalize');
    await settled(image);
    expect(await line.result(image)).toMatchObject({ bundle: 'v1', inspectionId: image.inspectionId });
  });
});

test('every node of a flow carries its own options', () => {
  const inspectionId = `i-20260131-${'0'.repeat(24)}`;
  const data = { inspectionId, priority: 10, scored: { verdict: 'good', patchDistance: {} } } as ScoredInspection;
  const config = { prefix: 'p', lockDurationMs: 1, stalledIntervalMs: 1, backoffMs: 7, keepCompleted: 5 };
  const finalizeJob = flowOf(data, 'abcd', config);
  const [gradcam, shap] = finalizeJob.children;
  const [features] = shap!.children!;
  const common = { priority: 10, attempts: 3, backoff: { type: 'exponential', delay: 7 } };
  const kept = { removeOnComplete: { count: 5 }, removeOnFail: { count: 100_000 } };
  const node = (jobId: string, more = {}) => ({
    opts: { jobId: `${inspectionId}-${jobId}`, ...common, ...kept, ...more },
  });
  expect(finalizeJob).toMatchObject(node('finalize'));
  expect(gradcam).toMatchObject(node('gradcam-abcd', { ignoreDependencyOnFailure: true }));
  expect(shap).toMatchObject(node('shap-abcd', { ignoreDependencyOnFailure: true }));
  expect(features).toMatchObject(node('features-abcd', { failParentOnFailure: true }));
});
