import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { Redis } from 'ioredis';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createProducer } from '../../src/producer/enqueue.js';
import { type ReconcileReport, reconcile } from '../../src/producer/reconcile.js';
import { writeSimulatedDataset } from '../../src/producer/simulated-camera.js';
import { type Bundle, bundleKey } from '../../src/shared/bundle.js';
import { configSchema } from '../../src/shared/config.js';
import type { InspectionEvent, ScoredResult } from '../../src/shared/contracts.js';
import { anomalyMapKey, gradcamKey, inspectionFolder, overlayKey } from '../../src/shared/keys.js';
import { createLogger } from '../../src/shared/logger.js';
import { readNpy } from '../../src/shared/npy.js';
import { openQueues } from '../../src/shared/queues.js';
import { hasResult, readResult } from '../../src/shared/results.js';
import { getJson, listAll, type ObjectStore, putJson } from '../../src/shared/store/object-store.js';
import { openStore } from '../../src/shared/store/open-store.js';
import { runCommand } from '../helpers/command-line.js';
import { copyObjects } from '../helpers/fitted-store.js';
import { until } from '../helpers/stand-in-line.js';
import { type Transport, transportKinds } from '../helpers/transports.js';

const training = 12;
let root: string;
let images: string;
/** What `inspect` answers for the test images, by file name. */
let inspected: Map<string, ScoredResult>;

/** Runs a command that must succeed and gives the JSON that it prints. */
async function run<T>(args: string[], env: Record<string, string>): Promise<T> {
  const { code, stdout, stderr } = await runCommand([...args, '--json'], env);
  expect(code, `${args.join(' ')}\n${stderr}\n${stdout}`).toBe(0);
  return JSON.parse(stdout);
}

interface Report {
  enqueued: number;
  finished: number;
  busy: number;
  collected: number;
  refused: unknown[];
  skipped: number;
  results: ScoredResult[];
}
const nothing = { enqueued: 0, finished: 0, busy: 0, collected: 0, refused: [], skipped: 0 };

const fileOf = (imageKey: string) => basename(imageKey).replace(/^[0-9a-f]{16}-/, '');
const byFile = (results: ScoredResult[]) => new Map(results.map((result) => [fileOf(result.imageKey), result]));

/** What must be the same however an image was inspected. */
function findings({ inspectionId: _, imageKey, camera, finishedAt, timings, artefacts, ...found }: ScoredResult) {
  const { explanations, similar, ...rest } = found;
  const statuses = Object.values(explanations ?? {}).map(({ key, ...explanation }) => explanation);
  return { ...rest, statuses, artefacts: artefacts && Object.keys(artefacts).sort() };
}

async function keysUnder(store: ObjectStore, prefix: string): Promise<string[]> {
  const keys: string[] = [];
  for await (const { key } of listAll(store, prefix)) keys.push(key);
  return keys;
}

async function askRedis<T>(url: string, question: (redis: Redis) => Promise<T>): Promise<T> {
  const redis = new Redis(url);
  try {
    return await question(redis);
  } finally {
    redis.disconnect();
  }
}

async function eventsOf(redisUrl: string, stream: 'verdicts' | 'results'): Promise<InspectionEvent[]> {
  const entries = await askRedis(redisUrl, (redis) => redis.xrange(`patchline:${stream}`, '-', '+'));
  return entries.map(([, fields]) => JSON.parse(fields[1]!));
}

const fitFrom = (path: string) => ['fit', path, '--product', 'plate', '--network', 'int8'];

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'patchline-pipeline-'));
  images = join(root, 'images');
  await writeSimulatedDataset(images, { seed: 3, train: training, good: 3, perDefect: 1 });
  const env = { PATCHLINE_STORE: join(root, 'store') };
  await run(fitFrom(images), env);
  const files = [...Array(8).keys()].map((n) => `part-${String(training + n).padStart(5, '0')}.jpg`);
  const folders = ['good', 'good', 'good', 'scratch', 'pit', 'stain', 'dent', 'missing-corner'];
  const paths = files.map((file, n) => join(images, 'test', folders[n]!, file));
  const results: ScoredResult[] = await run(
    ['inspect', ...paths, '--product', 'plate', '--out', join(root, 'out')],
    env,
  );
  expect(results.map(({ imageKey }) => imageKey)).toEqual(paths);
  expect(new Set(results.map(({ verdict }) => verdict))).toEqual(new Set(['good', 'anomalous']));
  inspected = byFile(results);
});
afterAll(() => rm(root, { recursive: true, force: true }));

describe.each(transportKinds())('the pipeline on $name', ({ open, tried }) => {
  let transport: Transport;
  let env: Record<string, string>;
  let store: ObjectStore;
  let first: ScoredResult[];
  const ingest = (folder: string, ...options: string[]) =>
    run<Report>(['ingest', join(images, folder), '--camera', 'line-1', ...options], env);

  /** Reconciles without waiting for young images to settle. */
  async function reconcileAtOnce(): Promise<ReconcileReport> {
    const config = configSchema.parse({});
    const queues = openQueues(await transport.redisUrl(), config.queue, createLogger('silent'));
    try {
      return await reconcile(createProducer(store, queues, config), { settleMs: 0 });
    } finally {
      await queues.close();
    }
  }

  beforeAll(async () => {
    transport = await open();
    ({ env, store } = transport);
    if (store.url.startsWith('s3://')) await run(fitFrom(images), env);
    else await copyObjects(await openStore(join(root, 'store')), store, 'bundles/');
    await transport.startWorkers();
    first = (await ingest('test', '--wait')).results;
  });
  afterAll(() => transport?.remove());

  test('ends with the results that inspect gives', async () => {
    expect(first).toHaveLength(inspected.size);
    for (const [file, result] of byFile(first)) expect(findings(result), file).toEqual(findings(inspected.get(file)!));
    for (const { camera, imageKey, capturedAt } of first) {
      expect(camera).toBe('line-1');
      expect(imageKey).toMatch(RegExp(`^images/line-1/${capturedAt.slice(0, 10)}/[0-9a-f]{16}-part-\\d{5}\\.jpg$`));
      expect(await store.head(imageKey)).toMatchObject({ metadata: { capturedat: capturedAt } });
    }
  });

  test('an anomalous image has its map and overlay, and no image more objects than designed', async () => {
    for (const { inspectionId, verdict, imageKey, artefacts } of first) {
      const keys = (await keysUnder(store, `${inspectionFolder(inspectionId)}/`)).map((key) => basename(key));
      if (verdict === 'good') {
        expect(keys).toEqual(['result.json']);
        continue;
      }
      expect(keys).toEqual(['anomaly-map.npy', 'gradcam.npy', 'overlay.png', 'result.json']);
      expect(artefacts).toEqual({
        anomalyMap: anomalyMapKey(inspectionId),
        overlay: overlayKey(inspectionId),
        gradcam: gradcamKey(inspectionId),
      });
      const bytes = { map: await store.get(artefacts!.anomalyMap), overlay: await store.get(artefacts!.overlay) };
      const { shape, data } = readNpy(bytes.map, 'anomaly map');
      expect((data as Float32Array).every(Number.isFinite)).toBe(true);
      const picture = await sharp(bytes.overlay).raw().toBuffer({ resolveWithObject: true });
      expect([picture.info.height, picture.info.width]).toEqual(shape);
      const fromInspect = join(root, 'out', inspected.get(fileOf(imageKey))!.inspectionId);
      for (const key of Object.values(artefacts!)) {
        expect(Buffer.compare(await store.get(key), await readFile(join(fromInspect, basename(key)))), key).toBe(0);
      }
    }
    await until('all work objects to be gone', async () => (await keysUnder(store, 'work/')).length === 0);
    expect(await keysUnder(store, 'images/')).toHaveLength(first.length);
  });

  test('each inspection has its verdict event and its result event', async () => {
    const expected = first.map(({ inspectionId, verdict, anomalyScore }) => ({ inspectionId, verdict, anomalyScore }));
    for (const [stream, status] of [
      ['verdicts', null],
      ['results', 'done'],
    ] as const) {
      const url = await transport.redisUrl();
      let told = new Map<string, InspectionEvent>();
      await until(`all events on ${stream}`, async () => {
        told = new Map((await eventsOf(url, stream)).map((event) => [event.inspectionId, event]));
        return told.size >= first.length;
      });
      expect(told.size).toBe(first.length);
      for (const each of expected)
        expect(told.get(each.inspectionId)).toMatchObject({ ...each, status, camera: 'line-1' });
    }
  });

  test('the same images are not inspected twice, unless asked to, and then as the asker has it configured', async () => {
    await askRedis(await transport.redisUrl(), (redis) => redis.flushall()); // results are known by the store
    const again = await ingest('test', '--wait');
    expect(again).toMatchObject({ ...nothing, finished: first.length });
    expect(byFile(again.results)).toEqual(byFile(first));

    const all = await run<Report>(
      ['ingest', join(images, 'test'), '--camera', 'line-1', '--wait', '--again'],
      { ...env, PATCHLINE_EXPLAIN: 'all' }, // the workers run with `flagged`
    );
    expect(all).toMatchObject({ ...nothing, enqueued: first.length });
    const before = byFile(first);
    for (const result of all.results) {
      const old = before.get(fileOf(result.imageKey))!;
      expect(result.inspectionId).toBe(old.inspectionId);
      expect(Date.parse(result.finishedAt)).toBeGreaterThan(Date.parse(old.finishedAt));
      expect(result).toMatchObject({ status: 'done', verdict: old.verdict, anomalyScore: old.anomalyScore });
      expect(result.explanations).toEqual({
        gradcam: { status: 'done', key: gradcamKey(result.inspectionId) },
        features: { status: 'done' },
        shap: { status: 'done' },
      });
      const { probability, baseValue, features } = result.risk!;
      expect(features.reduce((sum, { shap }) => sum + shap, baseValue)).toBeCloseTo(probability, 6);
      await sharp(await store.get(result.artefacts!.overlay)).stats();
    }
    await until('all work objects to be gone', async () => (await keysUnder(store, 'work/')).length === 0);
  });

  if (tried === 'collecting') {
    test('collected images wait for a plain ingest; a fit from the camera leaves anomalous ones out', async () => {
      expect(await ingest('train/good', '--collect')).toMatchObject({ ...nothing, collected: training });
      expect(await reconcileAtOnce()).toMatchObject({ finished: first.length, collected: training, enqueued: 0 });

      const anomalous = first.filter(({ verdict }) => verdict === 'anomalous').length;
      const fromCamera = ['fit', '--camera', 'line-1', '--product', 'plate', '--network', 'int8', '--no-activate'];
      const { code, stdout, stderr } = await runCommand([...fromCamera, '--json'], env);
      expect(code, stderr).toBe(0);
      expect(stderr).toContain(`${anomalous} left out`);
      expect(JSON.parse(stdout)).toMatchObject({ version: 'v2', images: training + first.length - anomalous });

      const late = await ingest('train/good', '--wait');
      expect(late).toMatchObject({ ...nothing, enqueued: training });
      expect(late.results.map(({ status, bundle }) => `${status} ${bundle}`)).toEqual(Array(training).fill('done v1'));
      expect(await reconcileAtOnce()).toMatchObject({ finished: first.length + training, collected: 0 });
    });
  }

  if (tried === 'activating') {
    test('images that wait while a bundle is activated are inspected with the one they were meant for', async () => {
      const bundle = (await getJson(store, bundleKey('plate', 'v1'))) as Bundle;
      await putJson(store, bundleKey('plate', 'v2'), { ...bundle, version: 'v2', threshold: bundle.threshold + 1 });
      expect(await transport.stopWorkers()).toEqual([0, 0, 0]);
      expect(await ingest('test/good', '--again')).toMatchObject({ ...nothing, enqueued: 3 });
      expect(await run(['bundles', 'activate', 'plate', 'v2'], env)).toEqual({ product: 'plate', active: 'v2' });
      await transport.startWorkers();
      const { enqueued, results } = await ingest('test/good', '--wait');
      expect([enqueued, ...results.map(({ bundle }) => bundle)]).toEqual([3, 'v2', 'v2', 'v2']);

      const before = byFile(first);
      for (const { imageKey } of results) {
        const meant = before.get(fileOf(imageKey))!;
        await until(`the result of ${imageKey} by v1`, () => hasResult(store, meant.inspectionId));
        const result = (await readResult(store, meant.inspectionId)) as ScoredResult;
        expect(result.finishedAt).not.toBe(meant.finishedAt);
        expect(findings(result)).toEqual(findings(meant));
      }
    });
  }
});
