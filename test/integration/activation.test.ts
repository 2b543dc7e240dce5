import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createProducer, enqueue, type Producer, planInspection } from '../../src/producer/enqueue.js';
import { storeOriginal } from '../../src/producer/originals.js';
import { activateBundle, activeVersion } from '../../src/shared/active-bundle.js';
import { type Bundle, bundleCardKey, bundleKey } from '../../src/shared/bundle.js';
import { configSchema } from '../../src/shared/config.js';
import type { Inspection, InspectionEvent } from '../../src/shared/contracts.js';
import { inspectionIdOf } from '../../src/shared/keys.js';
import { createLogger } from '../../src/shared/logger.js';
import { openQueues, type Queues, streamKey } from '../../src/shared/queues.js';
import { hasResult, readResult } from '../../src/shared/results.js';
import { getJson, type ObjectStore, putJson } from '../../src/shared/store/object-store.js';
import { openStore } from '../../src/shared/store/open-store.js';
import { type CommandProcess, runCommand, startCommand } from '../helpers/command-line.js';
import { createFittedStore, type FittedStore } from '../helpers/fitted-store.js';
import { until } from '../helpers/stand-in-line.js';

let fitted: FittedStore;
let store: ObjectStore;
let up: CommandProcess;
let queues: Queues;
let producer: Producer;
let images: Uint8Array[];
let env: Record<string, string>;
const config = configSchema.parse({ logLevel: 'silent' });
/** By version. */
const thresholds = new Map<string, number>();

/** The bundle as another version, told by its threshold. */
async function writeVersion(version: string, change: (bundle: Bundle) => Partial<Bundle>): Promise<void> {
  const first = (await getJson(store, bundleKey('plate', 'v1'))) as Bundle;
  const bundle = { ...first, version, threshold: first.threshold + thresholds.size, ...change(first) };
  thresholds.set(version, bundle.threshold);
  await store.put(bundleCardKey('plate', version), new TextEncoder().encode(version));
  await putJson(store, bundleKey('plate', version), bundle);
}

beforeAll(async () => {
  fitted = await createFittedStore(4, 0);
  store = await openStore(fitted.storeUrl);
  env = { PATCHLINE_STORE: store.url, PATCHLINE_THREADS: '1' };
  const good = join(fitted.images, 'test/good');
  images = await Promise.all((await readdir(good)).map((name) => readFile(join(good, name))));
  await writeVersion('v1', () => ({}));
  await writeVersion('v2', () => ({}));
  await writeVersion('v3', ({ parts }) => ({
    parts: { ...parts, bank: { ...parts.bank, key: 'bundles/plate/gone' } },
  }));
  up = startCommand(['up'], env);
  await up.printed('ready:');
  const { url } = JSON.parse(await readFile(join(store.url, 'redis.json'), 'utf8'));
  queues = openQueues(url, config.queue, createLogger('silent'));
  producer = createProducer(store, queues, config);
});
afterAll(async () => {
  await queues?.close();
  up?.child.kill('SIGTERM');
  await up?.ended;
  await fitted.remove();
});

interface Sent extends Inspection {
  plannedAt: number;
}
const sent: Sent[] = [];
const mostUnderWay = 6;

/** One more image from the camera, as soon as the line has not too many under way. */
async function send(): Promise<Sent> {
  const isUnderWay = async ({ inspectionId }: Sent) => !(await hasResult(store, inspectionId));
  await until('the line to take more', async () => {
    const waiting = await Promise.all(sent.slice(-mostUnderWay).map(isUnderWay));
    return waiting.filter(Boolean).length < mostUnderWay;
  });
  const bytes = images[sent.length % images.length]!;
  const fileName = `${sent.length}.jpg`;
  const capturedAt = new Date().toISOString();
  const original = await storeOriginal(store, { camera: 'line-1', bytes, fileName, capturedAt }, false);
  const inspection = await planInspection(producer, original);
  const image = { ...inspection, plannedAt: Date.now() };
  sent.push(image);
  expect(await enqueue(producer, inspection, false)).toBe('enqueued');
  return image;
}

/** Sends images until one is meant for the version; gives the first. */
async function sendUntil(version: string): Promise<Sent> {
  for (;;) {
    const image = await send();
    if (image.bundle === version) return image;
  }
}

const resultsAreIn = () =>
  until('all results', async () =>
    (await Promise.all(sent.map(({ inspectionId }) => hasResult(store, inspectionId)))).every(Boolean),
  );

test('images keep coming while versions change: each has one result, of the version that it names', async () => {
  for (let n = 0; n < 10; n++) expect((await send()).bundle).toBe('v1');
  await activateBundle(store, 'plate', 'v2');
  const activatedAt = Date.now();
  const first = await sendUntil('v2');
  expect(first.plannedAt - activatedAt).toBeLessThan(5_000); // what is promised; the producer looks every 2 s
  for (let n = 0; n < 10; n++) expect((await send()).bundle).toBe('v2');

  const damaged = await runCommand(['bundles', 'activate', 'plate', 'v3'], env);
  expect(damaged).toMatchObject({ code: 1, stderr: expect.stringMatching(/^BUNDLE_DAMAGED: .* part bank .*gone/) });
  expect(await activeVersion(store, 'plate')).toBe('v2');

  const back = await runCommand(['bundles', 'rollback', 'plate'], env);
  expect(back).toMatchObject({ code: 0, stdout: 'plate: from v2 back to v1, which is active now\n' });
  await sendUntil('v1');
  for (let n = 0; n < 10; n++) expect((await send()).bundle).toBe('v1');
  await resultsAreIn();

  for (const { inspectionId, imageKey, capturedAt, bundle } of sent) {
    const result = await readResult(store, inspectionId);
    expect(result).toMatchObject({ status: 'done', imageKey, bundle, threshold: thresholds.get(bundle) });
    const other = bundle === 'v1' ? 'v2' : 'v1';
    expect(await hasResult(store, inspectionIdOf(imageKey, 'plate', other, capturedAt))).toBe(false);
  }
  const changes = sent.filter(({ bundle }, index) => bundle !== sent[index - 1]?.bundle).map(({ bundle }) => bundle);
  expect(changes).toEqual(['v1', 'v2', 'v1']);

  let events: InspectionEvent[] = [];
  await until('the events of all results', async () => {
    const entries = await queues.redis.xrange(streamKey(config.queue, 'results'), '-', '+');
    events = entries.map(([, fields]) => JSON.parse(fields[1]!));
    return new Set(events.map(({ inspectionId }) => inspectionId)).size >= sent.length;
  });
  expect(new Set(events.map(({ inspectionId }) => inspectionId))).toEqual(
    new Set(sent.map(({ inspectionId }) => inspectionId)),
  );
  for (const { bundle, threshold } of events) expect(threshold).toBe(thresholds.get(bundle));
  const finishedAt = Date.parse((await readResult(store, first.inspectionId))!.finishedAt);
  console.log(`${sent.length} images; the first result of v2 came ${finishedAt - activatedAt} ms after its activation`);
});
