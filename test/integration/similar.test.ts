import { readdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openHistory } from '../../src/history/table.js';
import { openStore } from '../../src/shared/store/open-store.js';
import { type CommandProcess, runCommand, runHere, startCommand } from '../helpers/command-line.js';
import { createFittedStore, type FittedStore } from '../helpers/fitted-store.js';
import { until } from '../helpers/stand-in-line.js';

let fitted: FittedStore;
let up: CommandProcess;
let env: Record<string, string>;
beforeAll(async () => {
  fitted = await createFittedStore(2, 2);
  env = { PATCHLINE_STORE: fitted.storeUrl, PATCHLINE_EXPLAIN: 'all', PATCHLINE_THREADS: '2' };
  up = startCommand(['up'], env);
  await up.printed('ready:');
});
afterAll(async () => {
  up.child.kill('SIGTERM');
  expect(await up.ended, up.stderr()).toBe(0);
  await fitted.remove();
});

interface Found {
  inspectionId: string;
  imageKey: string;
  verdict: string;
  similar: { inspectionId: string; imageKey: string }[];
}

async function ingest(folder: string, camera = 'line-1'): Promise<Found[]> {
  const path = join(fitted.images, folder);
  const { code, stdout, stderr } = await runCommand(['ingest', path, '--camera', camera, '--wait', '--json'], env);
  expect(code, stderr).toBe(0);
  return JSON.parse(stdout).results;
}

async function similar(...args: string[]): Promise<Found> {
  const { code, stdout, stderr } = await runHere(['similar', ...args, '--json', '--store', fitted.storeUrl]);
  expect(code, stderr).toBe(0);
  return JSON.parse(stdout);
}

test('up keeps the history from which results and the command name similar inspections', async () => {
  const plates = await ingest('test');
  const store = await openStore(fitted.storeUrl);
  const rows = async () => (await (await openHistory(store))?.table.countRows()) ?? 0;
  await until('a row of each result', async () => (await rows()) === plates.length);
  const anomalous = plates.filter(({ verdict }) => verdict === 'anomalous');
  expect(anomalous.length).toBeGreaterThan(3);

  const [plate, ...others] = anomalous as [Found];
  const asked = await similar(plate.inspectionId, '--product', 'plate', '--k', '3');
  expect(asked).toMatchObject({ product: 'plate', imageKey: plate.imageKey, verdict: 'anomalous' });
  expect(asked.similar).toHaveLength(3);
  const otherKeys = others.map(({ imageKey }) => imageKey);
  for (const { imageKey } of asked.similar) expect(otherKeys).toContain(imageKey);

  const files = await readdir(join(fitted.images, 'test'), { recursive: true });
  const file = files.find((name) => plate.imageKey.endsWith(basename(name)))!;
  const path = join(fitted.images, 'test', file);
  const twin = { inspectionId: plate.inspectionId, distance: expect.closeTo(0, 3), verdict: 'anomalous', review: null };
  expect((await similar(path, '--product', 'plate')).similar[0]).toEqual({ ...twin, imageKey: plate.imageKey });

  const [seenAgain] = (await ingest(join('test', file), 'line-2')) as [Found];
  expect(seenAgain.similar).toHaveLength(5);
  expect(seenAgain.similar[0]).toEqual(twin);
  expect(plates.map(({ inspectionId }) => inspectionId)).toContain(seenAgain.similar[4]!.inspectionId);
});

test.each([
  [['i-20260131-0123456789abcdef01234567', '--product', 'plate'], /^INSPECTION_NOT_FOUND: .*found none/, 1],
  [['nothing.jpg', '--product', 'plate'], /^IMAGE_NOT_FOUND/, 1],
  [['nothing.jpg', '--product', 'other'], /^BUNDLE_NOT_FOUND/, 1],
])('similar %j answers with %s', async (args, says, code) => {
  const { stderr, ...rest } = await runHere(['similar', ...args, '--store', fitted.storeUrl]);
  expect([rest.code, stderr]).toEqual([code, expect.stringMatching(says)]);
});

test('without a history the command says how to make one', async () => {
  const { code, stderr } = await runHere(['similar', 'part.jpg', '--product', 'plate', '--store', fitted.images]);
  expect(code).toBe(1);
  expect(stderr).toMatch(/^HISTORY_UNAVAILABLE: .*"patchline history rebuild" makes it/);
});
