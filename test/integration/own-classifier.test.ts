import { randomBytes } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createProducer } from '../../src/producer/enqueue.js';
import { ingestOriginal } from '../../src/producer/ingest.js';
import { configSchema, loadConfig } from '../../src/shared/config.js';
import { type ScoredResult, stageNames } from '../../src/shared/contracts.js';
import { decodeImage } from '../../src/shared/image.js';
import { gradcamKey } from '../../src/shared/keys.js';
import { loadBundle } from '../../src/shared/loaded-bundle.js';
import { createLogger } from '../../src/shared/logger.js';
import { readNpy, writeNpy } from '../../src/shared/npy.js';
import { createGraphBuilder } from '../../src/shared/onnx/graph-builder.js';
import { prepareImage } from '../../src/shared/onnx/image-input.js';
import { writeModel } from '../../src/shared/onnx/model.js';
import { openQueues } from '../../src/shared/queues.js';
import { readResult } from '../../src/shared/results.js';
import { openStore } from '../../src/shared/store/open-store.js';
import { loadClassifiers } from '../../src/workers/load-classifiers.js';
import { startPools } from '../../src/workers/pools.js';
import { expectClose } from '../helpers/arrays.js';
import { runCommand } from '../helpers/command-line.js';
import { createFittedStore, type FittedStore } from '../helpers/fitted-store.js';
import { redisKinds, type TestRedis } from '../helpers/redis-kinds.js';
import { squeezeExcitation, weightsOf } from '../helpers/small-networks.js';
import { until } from '../helpers/stand-in-line.js';

let fitted: FittedStore;
let redis: TestRedis;
let root: string;
let config: string;
let image: string;
beforeAll(async () => {
  [fitted, redis] = await Promise.all([createFittedStore(1, 1), redisKinds()[0]!.open()]);
  root = await mkdtemp(join(tmpdir(), 'patchline-own-classifier-'));
  const folder = join(fitted.images, 'test/scratch');
  image = join(folder, (await readdir(folder))[0]!);
  await writeNetwork();
  config = join(root, 'patchline.yaml');
  await writeFile(
    config,
    'explain: all\nproducts: {plate: {classifier: {model: part.onnx, labels: [fine, scratched]}}}',
  );
}, 120_000);
afterAll(async () => {
  await redis.stop();
  await fitted.remove();
  await rm(root, { recursive: true });
});

/** Images of any size; the head is a maximum, and one score that speaks for a defect. */
async function writeNetwork(): Promise<void> {
  const graph = createGraphBuilder();
  const weights = weightsOf(graph, 5);
  const input = graph.input('image', 'float32', ['N', 3, 'height', 'width']);
  const map = graph.add('Relu', [graph.add('Conv', [input, weights(4, 3, 8, 8)], { strides: [8, 8] })], {}, 'map');
  const pooled = graph.add('Flatten', [graph.add('GlobalMaxPool', [squeezeExcitation(graph, map, 17)])]);
  const hidden = graph.add('Tanh', [graph.add('MatMul', [pooled, weights(4, 5)])]);
  graph.output('probability', graph.add('Sigmoid', [graph.add('MatMul', [hidden, weights(5, 1)], {}, 'score')]));
  await writeFile(join(root, 'part.onnx'), writeModel(graph.build()));
}

const env = () => ({ PATCHLINE_STORE: fitted.storeUrl, PATCHLINE_CONFIG: config });

async function inspectAlone() {
  const out = join(root, 'inspected');
  const args = ['inspect', image, '--product', 'plate', '--out', out, '--json'];
  const { code, stdout, stderr } = await runCommand(args, env());
  expect(code, stderr).toBe(0);
  const [result] = JSON.parse(stdout) as [ScoredResult];
  return { result, map: readNpy(await readFile(join(out, result.inspectionId, 'gradcam.npy'))) };
}

/** The same through queues and pools. */
async function inspectThroughQueues() {
  const prefix = `test-${randomBytes(6).toString('hex')}`;
  const own = await loadConfig(config, { PATCHLINE_QUEUE_PREFIX: prefix, PATCHLINE_THREADS: '1' });
  const logger = createLogger('silent');
  const store = await openStore(fitted.storeUrl);
  const queues = openQueues(redis.url, own.queue, logger);
  const classifiers = await loadClassifiers(own);
  const pools = startPools(stageNames, { queues, config: own, logger, classifiers, store });
  const original = {
    camera: 'line-1',
    bytes: await readFile(image),
    fileName: 'part.png',
    capturedAt: '2026-01-31T12:00:00.000Z',
  };
  const { inspection } = await ingestOriginal(createProducer(store, queues, own), original, false);
  await until('a result', async () => (await readResult(store, inspection.inspectionId)) !== undefined);
  await pools.close();
  await queues.close();
  const result = (await readResult(store, inspection.inspectionId)) as ScoredResult;
  return { result, map: readNpy(await store.get(gradcamKey(inspection.inspectionId))) };
}

/** What `patchline explain --raw` writes for the image as the score stage stores it. */
async function explainRaw() {
  const { bundle } = await loadBundle(await openStore(fitted.storeUrl), 'plate', 'v1');
  const { height, width } = bundle.input;
  const { limits } = configSchema.parse({});
  const { pixels } = await decodeImage(await readFile(image), { height, width }, limits);
  const standard = { mean: [0, 0, 0], std: [1, 1, 1], scale: 1 };
  const { data, dims } = prepareImage(pixels, height, width, {
    name: 'image',
    channels: 3,
    layout: 'nchw',
    ...standard,
  });
  const [input, out] = [join(root, 'input.npy'), join(root, 'raw.npy')];
  await writeFile(input, writeNpy({ dtype: 'float32', shape: dims, data }));
  const files = ['--model', join(root, 'part.onnx'), '--input', input, '--out', out];
  const { code, stdout, stderr } = await runCommand(
    ['explain', ...files, '--method', 'grad-cam++', '--output', 'score', '--raw', '--json'],
    env(),
  );
  expect(code, stderr).toBe(0);
  return { map: readNpy(await readFile(out)), report: JSON.parse(stdout) };
}

test('inspect, the pools and explain draw the same map of a classifier of any form', async () => {
  const [alone, queued, explained] = [await inspectAlone(), await inspectThroughQueues(), await explainRaw()];
  expect([alone.result.status, queued.result.status]).toEqual(['done', 'done']);
  expect(alone.result.classifier).toEqual({
    label: expect.stringMatching(/fine|scratched/),
    probability: expect.any(Number),
    weak: false,
  });
  expect(queued.result.classifier).toEqual(alone.result.classifier);
  const values = explained.map.data as Float32Array;
  expect(Math.max(...values)).toBeGreaterThan(1e-5);
  expect([1, ...alone.map.shape]).toEqual(explained.map.shape);
  expectClose(alone.map.data as Float32Array, values, { atol: 1e-7 });
  expectClose(queued.map.data as Float32Array, values, { atol: 1e-7 });
});

test('a classifier that cannot be explained is named when a worker or inspect starts', async () => {
  await writeFile(join(root, 'wrong.yaml'), 'products: {plate: {classifier: {model: part.onnx, layer: score}}}');
  const args = ['inspect', image, '--product', 'plate', '--config', join(root, 'wrong.yaml')];
  const { code, stderr } = await runCommand(args, env());
  expect(code).toBe(1);
  expect(stderr).toContain(
    `CONFIG_INVALID: classifier of product plate, ${join(root, 'part.onnx')}: Expected a feature map`,
  );
});
