import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Job } from 'bullmq';
import { createProducer, type Producer, planInspection } from '../../src/producer/enqueue.js';
import { storeOriginal } from '../../src/producer/originals.js';
import { addScore } from '../../src/producer/restart.js';
import { configSchema } from '../../src/shared/config.js';
import {
  type ExplainingData,
  type ExplainingStage,
  type Inspection,
  type InspectionEvent,
  type InspectionResult,
  type Scored,
  type Stage,
  stageNames,
  stages,
} from '../../src/shared/contracts.js';
import type { LoadedBundle } from '../../src/shared/loaded-bundle.js';
import { createLogger } from '../../src/shared/logger.js';
import type { Scorer } from '../../src/shared/patchcore/scorer.js';
import {
  type EventStream,
  jobIdOf,
  lookAt,
  openQueues,
  publish,
  type Queues,
  streamKey,
} from '../../src/shared/queues.js';
import { readResult } from '../../src/shared/results.js';
import { type ObjectStore, putJson } from '../../src/shared/store/object-store.js';
import { openStore } from '../../src/shared/store/open-store.js';
import { addFinalize, addFlow } from '../../src/workers/add-finalize.js';
import { childOutcomes } from '../../src/workers/child-outcomes.js';
import { finalize } from '../../src/workers/finalize.js';
import { type RunningWorker, runWorker } from '../../src/workers/run-worker.js';
import { score } from '../../src/workers/score.js';

/** Waits for a state; the time limit only ends a test that would wait for ever. */
export async function until(what: string, reached: () => Promise<boolean> | boolean, limitMs = 120_000): Promise<void> {
  const end = Date.now() + limitMs;
  while (!(await reached())) {
    if (Date.now() > end) throw new Error(`never came: ${what}`);
    await sleep(20);
  }
}

/** A promise that a test resolves when it wants what waits for it to go on. */
export function gate(): { passed: Promise<void>; open(): void } {
  let open = () => {};
  const passed = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { passed, open: () => open() };
}

/** What a test may do in the middle of a handler: hold it, let it fail, count it. */
export interface Interventions {
  score?(inspection: Inspection, job: Job): Promise<void> | void;
  beforeFlow?(inspection: Inspection): Promise<void> | void;
  afterFlow?(refusal: unknown): void;
  finalize?(inspection: Inspection): Promise<void> | void;
  gradcam?(inspection: Inspection): Promise<void> | void;
  features?(inspection: Inspection): Promise<void> | void;
  shap?(inspection: Inspection): Promise<void> | void;
}

export interface StandInLine {
  queues: Queues;
  store: ObjectStore;
  producer: Producer;
  interventions: Interventions;
  /** Stores an original and plans its inspection, without enqueuing it. */
  image(content: 'good' | 'anomalous'): Promise<Inspection>;
  enqueue(inspection: Inspection): Promise<void>;
  start(...stages: Stage[]): RunningWorker;
  result(inspection: Inspection): Promise<InspectionResult | undefined>;
  events(stream: EventStream, inspection?: Inspection): Promise<InspectionEvent[]>;
  /** Whether no queue holds a job that is still to be done. */
  idle(): Promise<boolean>;
  close(): Promise<void>;
}

const scoredOf = (verdict: Scored['verdict']): Scored => ({
  verdict,
  anomalyScore: verdict === 'good' ? 1 : 3,
  threshold: 2,
  severity: verdict === 'good' ? 50 : 150,
  location: { box: [1, 2, 3, 4], peak: [2, 3] },
  nearestNormal: { trainingImage: '0.jpg', box: [0, 0, 16, 16], distance: 3 },
  patchDistance: { mean: 1, max: 3 },
  warnings: [],
  vectors: { embedding: '', patch: '', backbone: '0'.repeat(64) },
  timings: {},
});

/** A scorer that reads its verdict off the first letter of the bytes. */
const standInScorer: Scorer = {
  score: async (bytes) => ({
    scored: scoredOf(bytes[0] === 'g'.charCodeAt(0) ? 'good' : 'anomalous'),
    height: 1,
    width: 1,
    pixels: new Uint8Array(3),
    features: new Float32Array(1),
    featuresShape: [1, 1, 1],
    anomalyMap: new Float32Array(1),
  }),
  pack: async () => new Uint8Array([3]),
  draw: async () => ({ anomalyMap: new Uint8Array([1]), overlay: new Uint8Array([2]) }),
};

const standInFindings = {
  gradcam: { key: 'gradcam.npy', classifier: { label: 'defect', probability: 0.9, weak: false } },
  features: { values: [1, 3, 0, 0, 0] },
  shap: { risk: { probability: 0.9, baseValue: 0.1, agreesWithVerdict: true, features: [] } },
};

/** The real queues, protocol, score and finalize handlers over a stand-in network and stand-in explainers. */
export async function openStandInLine(redisUrl: string, settings: Record<string, unknown> = {}): Promise<StandInLine> {
  const directory = await mkdtemp(join(tmpdir(), 'patchline-line-'));
  const store = await openStore(directory);
  const prefix = `test-${randomBytes(6).toString('hex')}`;
  const config = configSchema.parse({
    queue: { prefix, lockDurationMs: 1_000, stalledIntervalMs: 300, backoffMs: 20, ...settings },
    cameras: { 'line-1': { product: 'kol' } },
    logLevel: 'silent',
  });
  const logger = createLogger(config.logLevel);
  const queues = openQueues(redisUrl, config.queue, logger);
  await putJson(store, 'bundles/kol/active.json', { version: 'v1' });
  const producer = createProducer(store, queues, config);
  const interventions: Interventions = {};
  const running = new Set<RunningWorker>();
  let images = 0;

  const common = { queues, store, logger, concurrency: 4 };
  const startExplainer = <Name extends ExplainingStage>(stage: Name): RunningWorker =>
    runWorker<ExplainingData, object>({
      ...common,
      stage,
      contract: stages[stage],
      async handle(data) {
        await interventions[stage]?.(data);
        return standInFindings[stage];
      },
    });
  const startStage = (stage: Stage): RunningWorker => {
    if (stage === 'score') {
      return runWorker({
        ...common,
        stage,
        contract: stages.score,
        async handle(data, { job, keepLock }) {
          await interventions.score?.(data, job);
          return await score(data, {
            store,
            scorer: standInScorer,
            loadBundle: async () => ({}) as LoadedBundle,
            publishVerdict: (event) => publish(queues, 'verdicts', event),
            addFinalize: (scored) => addFinalize(queues, scored),
            async addFlow(scored) {
              await interventions.beforeFlow?.(data);
              const adding = addFlow({ queues, store, keepLock }, scored);
              adding.then(
                () => interventions.afterFlow?.(undefined),
                (refusal) => interventions.afterFlow?.(refusal),
              );
              await adding;
            },
          });
        },
      });
    }
    if (stage === 'finalize') {
      return runWorker({
        ...common,
        stage,
        contract: stages.finalize,
        async handle(data, { job }) {
          await interventions.finalize?.(data);
          return await finalize(data, {
            store,
            childOutcomes: () => childOutcomes(job, queues),
            publishResult: (event) => publish(queues, 'results', event),
          });
        },
      });
    }
    return startExplainer(stage);
  };

  return {
    queues,
    store,
    producer,
    interventions,
    async image(content) {
      const bytes = new TextEncoder().encode(`${content} ${images++}`);
      const capturedAt = '2026-01-31T12:00:00.000Z';
      const original = { camera: 'line-1', bytes, fileName: `${images}.jpg`, capturedAt };
      return await planInspection(producer, await storeOriginal(store, original, false));
    },
    enqueue: (inspection) => addScore(queues, inspection),
    start(...names) {
      const workers = names.map(startStage);
      const group = {
        async close() {
          running.delete(group);
          await Promise.all(workers.map((worker) => worker.close()));
        },
      };
      running.add(group);
      return group;
    },
    result: (inspection) => readResult(store, inspection.inspectionId),
    async events(stream, inspection) {
      const entries = await queues.redis.xrange(streamKey(config.queue, stream), '-', '+');
      const events = entries.map(([, fields]) => JSON.parse(fields[1]!) as InspectionEvent);
      return events.filter((event) => !inspection || event.inspectionId === inspection.inspectionId);
    },
    async idle() {
      const live = ['waiting', 'prioritized', 'delayed', 'active', 'waiting-children'] as const;
      const counts = await Promise.all(stageNames.map((stage) => queues.queue[stage].getJobCounts(...live)));
      return counts.every((count) => Object.values(count).every((jobs) => jobs === 0));
    },
    async close() {
      await Promise.all([...running].map((each) => each.close()));
      await queues.close();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

/** Whether the finalize job of an inspection exists and has not finished. */
export const finalizeIsLive = async ({ queues }: StandInLine, { inspectionId }: Inspection): Promise<boolean> =>
  (await lookAt(queues, 'finalize', jobIdOf(inspectionId, 'finalize'))).live;
