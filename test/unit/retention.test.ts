import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { cleanStore } from '../../src/producer/retention.js';
import { listAll, type ObjectStore } from '../../src/shared/store/object-store.js';
import { openStore } from '../../src/shared/store/open-store.js';

let directory: string;
let store: ObjectStore;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'patchline-retention-'));
  store = await openStore(directory);
  for (const key of [
    'work/i/score.npz',
    'images/line-1/d/a.jpg',
    'inspections/d/i/result.json',
    'captures/line-1/c.json',
    'bundles/p/v1/card.txt',
  ]) {
    await store.put(key, new Uint8Array(1));
  }
});
afterEach(() => rm(directory, { recursive: true, force: true }));

const keys = async () => {
  const found: string[] = [];
  for await (const { key } of listAll(store, '')) found.push(key);
  return found;
};
const inDays = (days: number) => ({ now: Date.now() + days * 86_400_000 });

test('only what is older than its time goes', async () => {
  const retention = { work: 7, images: 90, results: 400 };
  expect(await cleanStore(store, retention, inDays(6.9))).toEqual({ work: 0, images: 0, results: 0, captures: 0 });
  expect(await cleanStore(store, retention, inDays(7.1))).toEqual({ work: 1, images: 0, results: 0, captures: 0 });
  expect(await cleanStore(store, retention, inDays(91))).toEqual({ work: 0, images: 1, results: 0, captures: 0 });
  expect(await keys()).toEqual(['bundles/p/v1/card.txt', 'captures/line-1/c.json', 'inspections/d/i/result.json']);
  expect(await cleanStore(store, retention, inDays(401))).toEqual({ work: 0, images: 0, results: 1, captures: 1 });
  expect(await keys()).toEqual(['bundles/p/v1/card.txt']);
});

test('images and results without a time are kept', async () => {
  const retention = { work: 7, images: null, results: null };
  expect(await cleanStore(store, retention, inDays(10_000))).toEqual({ work: 1, images: 0, results: 0, captures: 0 });
});

test('it ends between two objects when it is asked to', async () => {
  const signal = AbortSignal.abort();
  const retention = { work: 7, images: 90, results: 400 };
  await expect(cleanStore(store, retention, { ...inDays(10_000), signal })).rejects.toThrow('aborted');
  expect(await keys()).toHaveLength(5);
});
