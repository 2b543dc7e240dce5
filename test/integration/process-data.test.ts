import { randomBytes } from 'node:crypto';
import { copyFile, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createProducer } from '../../src/producer/enqueue.js';
import { type Ingested, ingestFiles } from '../../src/producer/ingest.js';
import { loadConfig } from '../../src/shared/config.js';
import { type ScoredResult, type Stage, stageNames } from '../../src/shared/contracts.js';
import { createRandom } from '../../src/shared/kernels/random.js';
import { createLogger } from '../../src/shared/logger.js';
import { readNpy, writeNpy } from '../../src/shared/npy.js';
import { openQueues } from '../../src/shared/queues.js';
import { readResult } from '../../src/shared/results.js';
import type { ObjectStore } from '../../src/shared/store/object-store.js';
import { openStore } from '../../src/shared/store/open-store.js';
import { loadClassifiers } from '../../src/workers/load-classifiers.js';
import { loadTables } from '../../src/workers/load-tables.js';
import { startPools } from '../../src/workers/pools.js';
import { expectClose } from '../helpers/arrays.js';
import { runCommand } from '../helpers/command-line.js';
import { createFittedStore, type FittedStore } from '../helpers/fitted-store.js';
import { goldenCase } from '../helpers/golden.js';
import { redisKinds, type TestRedis } from '../helpers/redis-kinds.js';
import { until } from '../helpers/stand-in-line.js';

const columns = ['temperature_c', 'max_patch_distance', 'pressure_bar', 'severity', 'cooling_s'];
const process = { temperature_c: 0.4, pressure_bar: -0.7, cooling_s: 1.1, line_speed: 3 };

let fitted: FittedStore;
let redis: TestRedis;
let root: string;
let env: Record<string, string>;
beforeAll(async () => {
  [fitted, redis] = await Promise.all([createFittedStore(1, 1), redisKinds()[0]!.open()]);
  root = await mkdtemp(join(tmpdir(), 'patchline-process-data-'));
  env = { PATCHLINE_STORE: fitted.storeUrl, PATCHLINE_CONFIG: join(root, 'patchline.yaml') };
  await copyFile(goldenCase('tree-shap', 'gb-classifier-interventional').network(), join(root, 'scrap.onnx'));
  const random = createRandom(8);
  const data = Float64Array.from({ length: 5 * 20 }, random.normal);
  await writeFile(join(root, 'usual.npy'), writeNpy({ dtype: 'float64', shape: [20, 5], data }));
  const table = { model: 'scrap.onnx', background: 'usual.npy', columns };
  await writeFile(env.PATCHLINE_CONFIG!, JSON.stringify({ products: { plate: { table } }, queue: { backoffMs: 10 } }));
}, 120_000);
afterAll(async () => {
  await redis.stop();
  await fitted.remove();
  await rm(root, { recursive: true });
});

/** Each image with what its sidecar holds. */
async function writeImages(folder: string): Promise<string> {
  const directory = join(root, folder);
  await mkdir(directory);
  const sidecars = { scratch: { process }, dent: { process: { temperature_c: 1 } }, good: { process }, pit: undefined };
  for (const [kind, sidecar] of Object.entries(sidecars)) {
    const [name] = await readdir(join(fitted.images, 'test', kind));
    await copyFile(join(fitted.images, 'test', kind, name!), join(directory, `${kind}.jpg`));
    if (sidecar) await writeFile(join(directory, `${kind}.jpg.json`), JSON.stringify(sidecar));
  }
  return directory;
}

const named = (results: ScoredResult[]): Record<string, ScoredResult> =>
  Object.fromEntries(
    results.map((result) => [basename(result.imageKey, '.jpg').replace(/^[0-9a-f]{16}-/, ''), result]),
  );

/** Through queues and pools; a stage in `broken` works on another store. */
async function inspectThroughQueues(
  directory: string,
  camera: string,
  broken: Partial<Record<Stage, ObjectStore>> = {},
) {
  const prefix = `test-${randomBytes(6).toString('hex')}`;
  const config = await loadConfig(env.PATCHLINE_CONFIG, { PATCHLINE_QUEUE_PREFIX: prefix, PATCHLINE_THREADS: '1' });
  const logger = createLogger('silent');
  const store = await openStore(fitted.storeUrl);
  const queues = openQueues(redis.url, config.queue, logger);
  const own = { classifiers: await loadClassifiers(config), tables: await loadTables(config) };
  const pools = stageNames.map((stage) =>
    startPools([stage], { queues, config, logger, ...own, store: broken[stage] ?? store }),
  );
  const ingested: Ingested[] = [];
  const files = (await readdir(directory)).filter((name) => /jpg$/.test(name)).map((name) => join(directory, name));
  await ingestFiles(createProducer(store, queues, config), camera, files, {
    again: false,
    onFile: (each) => ingested.push(each),
  });
  const ids = ingested.map((each) => ('inspection' in each ? each.inspection.inspectionId : each.file));
  const results = () => Promise.all(ids.map((id) => readResult(store, id)));
  await until('all results', async () => (await results()).every((result) => result !== undefined));
  await Promise.all(pools.map((pool) => pool.close()));
  await queues.close();
  return named((await results()) as ScoredResult[]);
}

test('process data are kept and attributed alike by inspect and the pools, as attribute does it', async () => {
  const directory = await writeImages('today');
  const images = (await readdir(directory)).filter((name) => /jpg$/.test(name)).map((name) => join(directory, name));
  const out = join(root, 'inspected');
  const args = ['inspect', ...images, '--product', 'plate', '--json'];
  const { code, stdout, stderr } = await runCommand(args, env);
  expect(code, stderr).toBe(0);
  const alone = named(JSON.parse(stdout));
  const queued = await inspectThroughQueues(directory, 'line-1');

  for (const results of [alone, queued]) {
    const { scratch, dent, good, pit } = results;
    expect(scratch).toMatchObject({ status: 'done', process, explanations: { process: { status: 'done' } } });
    expect(good).toMatchObject({ status: 'done', verdict: 'good', process });
    expect([good!.attribution, good!.explanations]).toEqual([undefined, undefined]);
    expect(dent).toMatchObject({
      ...{ status: 'incomplete', process: { temperature_c: 1 } },
      explanations: {
        shap: { status: 'done' },
        process: { status: 'failed', code: 'PROCESS_DATA_MISSING', message: expect.stringContaining('pressure_bar') },
      },
    });
    expect(pit).toMatchObject({
      status: 'done',
      explanations: { process: { status: 'skipped', code: 'PROCESS_DATA_MISSING' } },
    });
    expect([pit!.process, pit!.attribution]).toEqual([undefined, undefined]);
  }
  const { attribution, severity, risk } = queued.scratch!;
  expect(alone.scratch!.attribution).toEqual(attribution);
  const largest = risk!.features.find(({ name }) => name === 'max_patch_distance')!.value;
  const row = attribution!.features.map(({ value }) => value!);
  expect(row).toEqual([0.4, largest, -0.7, severity, 1.1]);

  await writeFile(join(root, 'row.npy'), writeNpy({ dtype: 'float64', shape: [1, 5], data: Float64Array.from(row) }));
  const files = ['--model', join(root, 'scrap.onnx'), '--background', join(root, 'usual.npy')];
  const attributed = await runCommand(['attribute', ...files, '--data', join(root, 'row.npy'), '--out', out], env);
  expect(attributed.code, attributed.stderr).toBe(0);
  const shap = readNpy(await readFile(join(out, 'shap_values.npy'))).data as Float32Array;
  expectClose(
    attribution!.features.map((feature) => feature.shap),
    shap,
    { atol: 1e-6 },
  );
  expect(attribution!.features.reduce((sum, feature) => sum + feature.shap, attribution!.baseValue)).toBeCloseTo(
    attribution!.value,
    9,
  );
});

test('where features fail, process data are skipped with the risk and for the same reason', async () => {
  const directory = await writeImages('broken');
  const store = await openStore(fitted.storeUrl);
  const noWork: ObjectStore = {
    ...store,
    get: async (key) => (key.startsWith('work/') ? new Uint8Array(3) : await store.get(key)),
  };
  const { scratch } = await inspectThroughQueues(directory, 'line-2', { features: noWork });
  const { shap, process: attributed } = scratch!.explanations!;
  expect(scratch!.status).toBe('incomplete');
  expect(shap).toMatchObject({ status: 'skipped', code: 'FEATURES_FAILED' });
  expect(attributed).toEqual(shap);
  expect([scratch!.risk, scratch!.attribution]).toEqual([undefined, undefined]);
});

test('the waterfall of process data is drawn, and a table that cannot be explained is named at the start', async () => {
  const image = join(root, 'today', 'scratch.jpg');
  const out = join(root, 'drawn');
  const args = ['inspect', image, '--product', 'plate', '--json'];
  const drawn = await runCommand([...args, '--out', out, '--pictures', 'all'], env);
  expect(drawn.code, drawn.stderr).toBe(0);
  const [{ inspectionId }] = JSON.parse(drawn.stdout) as [ScoredResult];
  const svg = await readFile(join(out, inspectionId, 'process-waterfall.svg'), 'utf8');
  expect(svg).toContain('temperature_c: 0.4');
  expect(await readFile(join(out, 'index.html'), 'utf8')).toContain(`${inspectionId}/process-waterfall.svg`);

  const wrong = { products: { plate: { table: { model: 'scrap.onnx', background: 'usual.npy' } } } };
  await writeFile(join(root, 'wrong.yaml'), JSON.stringify(wrong));
  const refused = await runCommand([...args, '--config', join(root, 'wrong.yaml')], env);
  expect(refused.code).toBe(1);
  expect(refused.stderr).toContain(
    `CONFIG_INVALID: table of product plate, ${join(root, 'scrap.onnx')}: Expected the names`,
  );
});
