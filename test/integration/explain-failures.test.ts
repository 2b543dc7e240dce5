import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createProducer } from '../../src/producer/enqueue.js';
import { ingestOriginal } from '../../src/producer/ingest.js';
import { simulatedImage } from '../../src/producer/simulated-camera.js';
import { configSchema } from '../../src/shared/config.js';
import type { ExplainingStage, Inspection, ScoredResult } from '../../src/shared/contracts.js';
import { workKey } from '../../src/shared/keys.js';
import { createLogger } from '../../src/shared/logger.js';
import { readNpz, writeNpz } from '../../src/shared/npz.js';
import { openQueues, type Queues } from '../../src/shared/queues.js';
import { readResult } from '../../src/shared/results.js';
import type { ObjectStore } from '../../src/shared/store/object-store.js';
import { openStore } from '../../src/shared/store/open-store.js';
import { startPools } from '../../src/workers/pools.js';
import type { RunningWorker } from '../../src/workers/run-worker.js';
import { createFittedStore, type FittedStore } from '../helpers/fitted-store.js';
import { redisKinds, type TestRedis } from '../helpers/redis-kinds.js';
import { until } from '../helpers/stand-in-line.js';

let fitted: FittedStore;
let redis: TestRedis;
let store: ObjectStore;
beforeAll(async () => {
  [fitted, redis] = await Promise.all([createFittedStore(1, 1), redisKinds()[0]!.open()]);
  store = await openStore(fitted.storeUrl);
}, 120_000);
afterAll(async () => {
  await redis.stop();
  await fitted.remove();
});

const config = (prefix: string) =>
  configSchema.parse({ explain: 'all', threads: 1, logLevel: 'silent', queue: { prefix, backoffMs: 10 } });

/** A store in which reading some objects gives something else. */
const storeThatReads = (change: (key: string, bytes: Uint8Array) => Uint8Array): ObjectStore => ({
  ...store,
  get: async (key) => change(key, await store.get(key)),
});

/** Work objects that lack one of their arrays. */
const workWithout = (name: string) =>
  storeThatReads((key, bytes) => {
    if (!key.startsWith('work/')) return bytes;
    const { [name]: _, ...arrays } = readNpz(bytes);
    return writeNpz(arrays);
  });

/** Inspects a plate with real pools, of which the explaining ones work on `broken` where one is given for their stage. */
async function inspectWith(broken: Partial<Record<ExplainingStage, ObjectStore>>, index: number) {
  const prefix = `test-${randomBytes(6).toString('hex')}`;
  const logger = createLogger('silent');
  const queues: Queues = openQueues(redis.url, config(prefix).queue, logger);
  const common = { queues, config: config(prefix), logger, classifiers: new Map() };
  const pools: RunningWorker[] = [
    startPools(['score', 'finalize'], { ...common, store }),
    ...(['gradcam', 'features', 'shap'] as const).map((stage) =>
      startPools([stage], { ...common, store: broken[stage] ?? store }),
    ),
  ];
  const { bytes, name } = await simulatedImage(9, index, 'pit');
  const original = { camera: 'line-1', bytes, fileName: name, capturedAt: '2026-01-31T12:00:00.000Z' };
  const { inspection } = await ingestOriginal(createProducer(store, queues, config(prefix)), original, false);
  await until('a result', async () => (await readResult(store, inspection.inspectionId)) !== undefined);
  await Promise.all(pools.map((pool) => pool.close()));
  await queues.close();
  return { inspection, result: (await readResult(store, inspection.inspectionId)) as ScoredResult };
}

const hasWork = async ({ inspectionId }: Inspection) => (await store.head(workKey(inspectionId))) !== undefined;

test('with nothing broken everything is explained and the work object goes', async () => {
  const { inspection, result } = await inspectWith({}, 0);
  expect(result.status).toBe('done');
  expect([result.risk !== undefined, result.classifier !== undefined]).toEqual([true, true]);
  expect(await hasWork(inspection)).toBe(false);
});

test('a gradcam that fails is named; risk and work object stay', async () => {
  const { inspection, result } = await inspectWith({ gradcam: workWithout('features') }, 1);
  expect(result).toMatchObject({
    status: 'incomplete',
    explanations: {
      gradcam: { status: 'failed', code: 'SHAPE_MISMATCH', message: expect.stringContaining('features') },
      features: { status: 'done' },
      shap: { status: 'done' },
    },
  });
  expect([result.risk !== undefined, result.classifier, result.artefacts?.gradcam]).toEqual([
    true,
    undefined,
    undefined,
  ]);
  expect(await hasWork(inspection)).toBe(true);
});

test('features that fail are named, and shap is skipped for that reason', async () => {
  const { inspection, result } = await inspectWith({ features: workWithout('input') }, 2);
  expect(result).toMatchObject({
    status: 'incomplete',
    explanations: {
      gradcam: { status: 'done' },
      features: { status: 'failed', code: 'SHAPE_MISMATCH', message: expect.stringContaining('input') },
      shap: { status: 'skipped', code: 'FEATURES_FAILED' },
    },
  });
  expect(result.risk).toBeUndefined();
  expect(await hasWork(inspection)).toBe(true);
});

test('a shap that fails is named; the features are done', async () => {
  const cutShort = storeThatReads((key, bytes) => (key.endsWith('/bank.npy') ? bytes.subarray(0, 100) : bytes));
  const { inspection, result } = await inspectWith({ shap: cutShort }, 3);
  expect(result).toMatchObject({
    status: 'incomplete',
    explanations: {
      gradcam: { status: 'done' },
      features: { status: 'done' },
      shap: { status: 'failed', code: 'BUNDLE_DAMAGED', message: expect.stringContaining('bank') },
    },
  });
  expect(result.risk).toBeUndefined();
  expect(await hasWork(inspection)).toBe(true);
});
