import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { addPictures, copyInspection, writeContactSheet } from '../../../src/cli/inspection-folders.js';
import type { InspectionResult } from '../../../src/shared/contracts.js';
import { resultKey } from '../../../src/shared/keys.js';
import { writeNpy } from '../../../src/shared/npy.js';
import { jsonBytes } from '../../../src/shared/store/object-store.js';
import { openStore } from '../../../src/shared/store/open-store.js';
import { float32 } from '../../helpers/arrays.js';
import { highRisk } from '../../helpers/risks.js';
import { artefacts, failedResult, scoredResult } from '../../helpers/scored-result.js';

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'patchline-folders-'));
});
afterEach(() => rm(directory, { recursive: true }));

const explained = { ...scoredResult, artefacts, risk: highRisk };
const { inspectionId } = scoredResult;

const imageOf = (width: number, height: number): Promise<Buffer> =>
  sharp({ create: { width, height, channels: 3, background: '#777' } })
    .png()
    .toBuffer();

/** What a store holds of the explained inspection; the original is 1,200 wide and 800 high. */
async function objectsOf(): Promise<Record<string, Uint8Array>> {
  return {
    [resultKey(inspectionId)]: jsonBytes(explained),
    [explained.imageKey]: await imageOf(1200, 800),
    [artefacts.overlay]: await imageOf(128, 96),
    [artefacts.anomalyMap]: writeNpy({ dtype: 'float32', shape: [96, 128], data: float32(96 * 128, (i) => i % 9) }),
    [artefacts.gradcam]: writeNpy({ dtype: 'float32', shape: [3, 4], data: float32(12, (i) => i - 4) }),
    [explained.nearestNormal.trainingImage]: await imageOf(128, 96),
  };
}

async function writeResult(result: InspectionResult): Promise<string> {
  const folder = join(directory, result.inspectionId);
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, 'result.json'), jsonBytes(result));
  return folder;
}

test('an inspection is copied with its artefacts, a small picture of the part and, if asked for, all pictures', async () => {
  const store = await openStore(join(directory, 'store'));
  for (const [key, bytes] of Object.entries(await objectsOf())) await store.put(key, bytes);
  const filesOf = async (out: string) => (await readdir(join(directory, out, inspectionId))).sort();

  await copyInspection(store, explained, join(directory, 'few'), 'overlay');
  expect(await filesOf('few')).toEqual(['anomaly-map.npy', 'gradcam.npy', 'image.jpg', 'overlay.png', 'result.json']);
  await copyInspection(store, explained, join(directory, 'all'), 'all');
  expect(await filesOf('all')).toEqual([
    'anomaly-map.npy',
    'gradcam-overlay.png',
    'gradcam.npy',
    'image.jpg',
    'overlay.png',
    'patch-pair.png',
    'result.json',
    'waterfall.png',
    'waterfall.svg',
  ]);
  const image = await sharp(join(directory, 'all', inspectionId, 'image.jpg')).metadata();
  expect([image.format, image.width, image.height]).toEqual(['jpeg', 480, 320]);
});

test('a failed inspection gets no picture and reads nothing', async () => {
  const folder = await writeResult(failedResult);
  const read = () => Promise.reject(new Error('read'));
  await addPictures(failedResult, folder, read, 'all');
  expect(await readdir(folder)).toEqual(['result.json']);
});

test('the contact sheet shows all inspections of a directory and leaves out what was broken off', async () => {
  const folder = await writeResult(explained);
  await writeFile(join(folder, 'image.jpg'), await imageOf(30, 20));
  await writeResult(failedResult);
  await mkdir(join(directory, 'i-20260131-000000000000000000000000'));
  await mkdir(join(directory, 'store'));
  const path = await writeContactSheet(directory);
  expect(path).toBe(join(directory, 'index.html'));
  const page = await readFile(path, 'utf8');
  expect([...page.matchAll(/<article class="(\w+)"/g)].map(([, group]) => group)).toEqual(['anomalous', 'failed']);
  expect(page).toContain(`--aspect: 1.5000"><a href="${inspectionId}/image.jpg"`);
});
