import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { assertCaptureTime } from '../../src/producer/capture-time.js';
import { readOriginal, storeOriginal } from '../../src/producer/originals.js';
import { parseProcessData } from '../../src/shared/process-data.js';
import type { ObjectStore } from '../../src/shared/store/object-store.js';
import { openStore } from '../../src/shared/store/open-store.js';

let root: string;
let store: ObjectStore;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'patchline-originals-'));
  store = await openStore(root);
});
afterAll(() => rm(root, { recursive: true, force: true }));

const process = { temperature_c: 231.5, 'pressure bar': 80 };
const original = {
  camera: 'line-1',
  bytes: new Uint8Array([1, 2]),
  fileName: 'a.png',
  capturedAt: '2026-01-31T10:00:00.000Z',
};

test('process data stay with an original, are added later and never replaced', async () => {
  const { imageKey } = await storeOriginal(store, original, true);
  const added = await storeOriginal(store, { ...original, process }, true);
  expect(added.process).toEqual(process);
  expect(await readOriginal(store, imageKey)).toEqual({ image: added, collected: true });
  const kept = await storeOriginal(store, { ...original, process: { other: 1 } }, false);
  expect(kept.process).toEqual(process);
  expect(await readOriginal(store, imageKey)).toEqual({ image: added, collected: false });
});

test.each([
  [{ temperature: '231' }, /temperature/],
  [{ temperature: Number.NaN }, /temperature/],
  [[1, 2], /line\.json/],
  [Object.fromEntries(Array.from({ length: 99 }, (_, index) => [`reading ${index}`, index])), /1800 bytes/],
])('%j is no process data', (value, says) => {
  expect(() => parseProcessData(value, 'line.json')).toThrow(says);
});

test('a time of capture may be a day ahead, and no more', () => {
  const ahead = (ms: number) => new Date(Date.now() + ms).toISOString();
  assertCaptureTime(ahead(86_000_000), 'a.png');
  assertCaptureTime(ahead(50_000), 'a.png', 60_000);
  expect(() => assertCaptureTime(ahead(90_000_000), 'a.png')).toThrow(
    /^Expected a time of capture at most 1440 minutes ahead of .* for a\.png/,
  );
  expect(() => assertCaptureTime(ahead(70_000), 'a.png', 60_000)).toThrow(
    expect.objectContaining({ code: 'CAPTURE_TIME_INVALID' }),
  );
});
