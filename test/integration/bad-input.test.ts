import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { FailedInspection } from '../../src/producer/failed-inspections.js';
import { simulatedImage } from '../../src/producer/simulated-camera.js';
import { type Bundle, bundleKey } from '../../src/shared/bundle.js';
import type { FailedResult, InspectionResult } from '../../src/shared/contracts.js';
import { freePort } from '../../src/shared/free-port.js';
import { activeBundleKey } from '../../src/shared/keys.js';
import { readResult } from '../../src/shared/results.js';
import { getJson, listAll, type ObjectStore, putJson } from '../../src/shared/store/object-store.js';
import { openStore } from '../../src/shared/store/open-store.js';
import { type CommandProcess, runCommand, startCommand } from '../helpers/command-line.js';
import { createFittedStore, type FittedStore } from '../helpers/fitted-store.js';
import { badImages, oddImages } from '../helpers/images.js';
import { startRedisServer } from '../helpers/redis-server.js';
import { startS3Server } from '../helpers/s3-server.js';
import { requireService } from '../helpers/services.js';
import { until } from '../helpers/stand-in-line.js';

const maxImageBytes = 200_000;
let fitted: FittedStore;
let store: ObjectStore;
let root: string;
let env: Record<string, string>;
let up: CommandProcess;
/** A folder with one good image. */
let one: string;

/** What an ingest of a folder takes: the content of a file tells what it is, not its name. */
const named = (name: string) => (/\.(jpe?g|png|tiff?|webp|bmp|jp2)$/.test(name) ? name : `${name}.jpg`);
const bad = new Map((await badImages()).map(({ name, bytes, code }) => [named(name), { bytes, code }]));
const odd = new Map((await oddImages()).map(({ name, bytes }) => [named(name), { bytes }]));
const good = new Map<string, { bytes: Uint8Array }>();
for (const index of [900, 901, 902]) {
  const { name, bytes } = await simulatedImage(5, index, null);
  good.set(name, { bytes });
}

async function writeFiles(folder: string, files: Iterable<[string, { bytes: Uint8Array }]>): Promise<string> {
  const directory = join(root, folder);
  await mkdir(directory, { recursive: true });
  for (const [name, { bytes }] of files) await writeFile(join(directory, name), bytes);
  return directory;
}

/** Runs a command and gives its exit code, the JSON that it prints and its messages. */
async function run<T>(
  args: string[],
  more: Record<string, string> = {},
): Promise<{ code: number | null; json: T; stderr: string }> {
  const { code, stdout, stderr } = await runCommand([...args, '--json'], { ...env, ...more });
  return { code, json: JSON.parse(stdout), stderr };
}

interface Report {
  refused: { file: string; error: { code: string } }[];
  skipped: number;
  results: InspectionResult[];
}
const ingest = (path: string, camera: string) => run<Report>(['ingest', path, '--camera', camera, '--wait']);

const fileOf = ({ imageKey }: { imageKey: string }) => basename(imageKey).replace(/^[0-9a-f]{16}-/, '');
/** done, or the code that it failed with, by file. */
const outcomes = (results: InspectionResult[]) =>
  Object.fromEntries(results.map((each) => [fileOf(each), each.status === 'failed' ? each.error.code : each.status]));
const expected = Object.fromEntries([
  ...[...bad].map(([name, { code }]) => [name, code]),
  ...[...odd.keys(), ...good.keys()].map((name) => [name, 'done']),
]);

async function imageKeys(camera: string): Promise<string[]> {
  const keys: string[] = [];
  for await (const { key } of listAll(store, `images/${camera}/`)) keys.push(key);
  return keys;
}

beforeAll(async () => {
  fitted = await createFittedStore(0, 0);
  root = await mkdtemp(join(tmpdir(), 'patchline-bad-input-'));
  store = await openStore(fitted.storeUrl);
  one = await writeFiles('one', [[...good][0]!]);
  const products = {
    'line-1': 'plate',
    'line-2': 'short',
    'line-3': 'foreign',
    'line-4': 'gone',
    'line-5': 'torn',
    'line-6': 'none',
  };
  const cameras = Object.fromEntries(Object.entries(products).map(([camera, product]) => [camera, { product }]));
  await writeFile(join(root, 'patchline.yaml'), JSON.stringify({ cameras, limits: { maxImageBytes } }));
  env = { PATCHLINE_STORE: store.url, PATCHLINE_CONFIG: join(root, 'patchline.yaml') };
  await damagedBundles();
  up = startCommand(['up'], env);
  await up.printed('ready:');
});
afterAll(async () => {
  up.child.kill('SIGTERM');
  expect(await up.ended, up.stderr()).toBe(0);
  await fitted.remove();
  await rm(root, { recursive: true, force: true });
});

/** Products whose active bundle has a part cut short, was fitted with another network, is gone, or is not named by what names it. */
async function damagedBundles(): Promise<void> {
  const bundle = (await getJson(store, bundleKey('plate', 'v1'))) as Bundle;
  const bank = await store.get(bundle.parts.bank.key);
  const key = 'bundles/short/v1/bank.npy';
  await store.put(key, bank.subarray(0, bank.length / 2));
  const short = { ...bundle, product: 'short', parts: { ...bundle.parts, bank: { ...bundle.parts.bank, key } } };
  const foreign = { ...bundle, product: 'foreign', network: { ...bundle.network, sha256: '0'.repeat(64) } };
  for (const each of [short, foreign]) await putJson(store, bundleKey(each.product, 'v1'), each);
  for (const product of ['short', 'foreign', 'gone']) await putJson(store, activeBundleKey(product), { version: 'v1' });
  await store.put(activeBundleKey('torn'), new TextEncoder().encode('{"vers'));
}

let first: InspectionResult[];

test('bad images end as failed results that say why, beside good ones that are inspected', async () => {
  const folder = await writeFiles('mixed', [...bad, ...odd, ...good]);
  await writeFile(join(folder, 'too-many-bytes.jpg'), new Uint8Array(maxImageBytes + 1));
  await writeFile(join(folder, 'notes.txt'), '');
  await writeFile(join(folder, '.hidden.jpg'), '');
  const { code, json, stderr } = await ingest(folder, 'line-1');
  expect(code).toBe(1);
  expect(outcomes(json.results)).toEqual(expected);
  expect(json.results).toHaveLength(bad.size + odd.size + good.size);
  expect(json).toMatchObject({
    skipped: 2,
    refused: [{ file: join(folder, 'too-many-bytes.jpg'), error: { code: 'IMAGE_TOO_LARGE' } }],
  });
  expect(stderr).toContain('too-many-bytes.jpg: IMAGE_TOO_LARGE: ');
  for (const result of json.results)
    if (result.status === 'failed')
      expect(result.error).toMatchObject({ stage: 'score', message: expect.stringMatching(/^Expected/) });
  first = json.results;
});

test('inspect ends with the same codes', async () => {
  const folder = join(root, 'mixed');
  const files = (await readdir(folder)).filter((name) => /^[^.].*g$/.test(name) || bad.has(name) || odd.has(name));
  const { code, json } = await run<InspectionResult[]>([
    'inspect',
    ...files.map((name) => join(folder, name)),
    '--product',
    'plate',
  ]);
  expect(code).toBe(1);
  expect(outcomes(json)).toEqual({ ...expected, 'too-many-bytes.jpg': 'IMAGE_TOO_LARGE' });
});

test('failed list, show, retry and drop work on them', async () => {
  const listed = await run<FailedInspection[]>(['failed', 'list']);
  expect(listed.code).toBe(0);
  const codes = listed.json.map(({ inspection, reasons }) => [fileOf(inspection), reasons.map(({ code }) => code)]);
  expect(Object.fromEntries(codes)).toEqual(Object.fromEntries([...bad].map(([name, { code }]) => [name, [code]])));

  const entry = listed.json.find(({ inspection }) => fileOf(inspection) === 'part.bmp')!;
  const { inspectionId, imageKey } = entry.inspection;
  expect((await run(['failed', 'show', inspectionId])).json).toEqual(entry);
  const lines = await runCommand(['failed', 'show', inspectionId], env);
  expect(lines.stdout).toContain(imageKey);
  expect(lines.stdout).toContain('UNSUPPORTED_FORMAT: Expected');

  await store.put(imageKey, good.values().next().value!.bytes); // somebody mends the image
  const other = listed.json.find(({ inspection }) => fileOf(inspection) === 'empty.jpg')!.inspection;
  await store.delete(other.imageKey); // and loses another
  const retried = await run(['failed', 'retry', inspectionId, other.inspectionId]);
  expect(retried).toMatchObject({ code: 0, json: { retried: 2, busy: 0, finished: 0 } });
  await until('the result of the mended image', async () => (await readResult(store, inspectionId))?.status === 'done');
  await until('the result of the lost image', async () => (await readResult(store, other.inspectionId)) !== undefined);
  expect(await readResult(store, other.inspectionId)).toMatchObject({
    status: 'failed',
    error: { code: 'IMAGE_NOT_FOUND', message: expect.stringContaining(other.imageKey), stage: 'score' },
  });

  expect(await run(['failed', 'drop', '--all'])).toMatchObject({ code: 0, json: { dropped: bad.size - 1, busy: 0 } });
  expect((await run(['failed', 'list'])).json).toEqual([]);
  expect(await readResult(store, other.inspectionId)).toMatchObject({ status: 'failed' });
  expect(await run(['failed', 'show', other.inspectionId])).toMatchObject({
    code: 1,
    json: { error: { code: 'INSPECTION_NOT_FOUND' } },
  });
});

test('a bundle that cannot be used fails its own images only', async () => {
  const [name] = [...good][0]!;
  const cases = { 'line-2': 'BUNDLE_DAMAGED', 'line-3': 'BUNDLE_NETWORK_MISMATCH', 'line-4': 'BUNDLE_NOT_FOUND' };
  const cameras = Object.keys(cases);
  const reports = await Promise.all(cameras.map((camera) => ingest(one, camera)));
  expect(reports.map(({ code }) => code)).toEqual([1, 1, 1]);
  const codes = reports.map(({ json }) => (json.results as FailedResult[]).map(({ error }) => error.code));
  expect(codes).toEqual(Object.values(cases).map((code) => [code]));
  const wellKnown = await ingest(one, 'line-1');
  expect([wellKnown.code, outcomes(wellKnown.json.results)]).toEqual([0, { [name]: 'done' }]);
});

test('without a known camera or a usable active bundle nothing is accepted', async () => {
  const cases = { 'line-6': 'BUNDLE_NOT_FOUND', 'line-5': 'BUNDLE_DAMAGED', 'line-7': 'CAMERA_UNKNOWN' };
  await Promise.all(
    Object.entries(cases).map(async ([camera, error]) => {
      expect(await run(['ingest', one, '--camera', camera, '--wait'])).toMatchObject({
        code: 1,
        json: { error: { code: error } },
        stderr: expect.stringContaining(`${error}: Expected`),
      });
      expect(await imageKeys(camera)).toEqual([]);
    }),
  );
});

test('nothing of all this stopped the pool, nor lost an image', async () => {
  expect(up.child.exitCode).toBeNull();
  const [name] = [...good][1]!;
  const { code, json } = await ingest(join(root, 'mixed', name), 'line-1');
  expect([code, outcomes(json.results)]).toEqual([0, { [name]: 'done' }]);
  const results = await Promise.all(first.map(({ inspectionId }) => readResult(store, inspectionId)));
  expect(results.every((result) => result !== undefined)).toBe(true);
});

/** Every command that needs the thing ends with the code and names what is wrong. */
async function expectRefusal(
  commands: string[][],
  code: string,
  words: string[],
  more: Record<string, string>,
): Promise<void> {
  const place = { PATCHLINE_CONFIG: env.PATCHLINE_CONFIG!, ...more };
  await Promise.all(
    commands.map(async (args) => {
      const { code: exit, stderr, stdout } = await runCommand(args, place);
      const said = { exit, stdout, code: stderr.split(':')[0] };
      expect(said, `${args.join(' ')}\n${stderr}`).toEqual({ exit: 1, stdout: '', code });
      for (const word of words) expect(stderr).toContain(word);
    }),
  );
}

test('a store that cannot be used', async (context) => {
  // Below a file: permissions would not stop the tests of a user who may do everything.
  const below = join(root, 'patchline.yaml', 'store');
  await expectRefusal([['ingest', one, '--camera', 'line-1', '--collect'], ['up']], 'STORE_UNREACHABLE', [below], {
    PATCHLINE_STORE: below,
  });
  requireService('versitygw', context);
  const s3 = await startS3Server('versitygw');
  const wrong = { ...s3.env, AWS_SECRET_ACCESS_KEY: 'wrong', PATCHLINE_STORE: s3.url };
  await expectRefusal([['status']], 'STORE_UNREACHABLE', ['HTTP 403'], wrong);
  await expectRefusal(
    [['up'], ['ingest', one, '--camera', 'line-1']],
    'QUEUE_UNREACHABLE',
    ['Expected REDIS_URL', s3.url],
    { ...s3.env, PATCHLINE_STORE: s3.url },
  );
  expect(existsSync('s3:')).toBe(false); // not taken for a directory
  await s3.stop();
});

test('a Redis that cannot be used', async (context) => {
  const port = await freePort();
  const commands = [
    ['worker', 'score'],
    ['ingest', one, '--camera', 'line-1'],
  ];
  const closed = { PATCHLINE_STORE: store.url, REDIS_URL: `redis://127.0.0.1:${port}` };
  await expectRefusal(commands, 'QUEUE_UNREACHABLE', [`127.0.0.1:${port}`], closed);
  requireService('redis-server', context);
  const redis = await startRedisServer({ args: ['--maxmemory-policy', 'allkeys-lru'] });
  await expectRefusal(commands, 'REDIS_EVICTS', ['noeviction', 'allkeys-lru'], { ...closed, REDIS_URL: redis.url });
  await redis.stop();
});
