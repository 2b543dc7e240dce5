import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { changeThreshold } from '../../src/fit/change-threshold.js';
import { type FitOptions, fitBundle } from '../../src/fit/fit.js';
import { directoryDefects, directoryImages, type TrainingSource } from '../../src/fit/training-images.js';
import { activeVersion } from '../../src/shared/active-bundle.js';
import {
  type Bundle,
  bundleCardKey,
  bundleKey,
  oddImagesKey,
  readBundle,
  trainingPictureKey,
} from '../../src/shared/bundle.js';
import { type Compute, createCompute } from '../../src/shared/compute.js';
import { wilsonInterval } from '../../src/shared/kernels/wilson-interval.js';
import { loadBundle } from '../../src/shared/loaded-bundle.js';
import { expectArray, readNpy } from '../../src/shared/npy.js';
import { createScorer } from '../../src/shared/patchcore/scorer.js';
import { getJson, type ObjectStore, putJson } from '../../src/shared/store/object-store.js';
import { openStore } from '../../src/shared/store/open-store.js';
import { expectClose } from '../helpers/arrays.js';
import { plateJpeg } from '../helpers/plates.js';

const [goodImages, defectImages] = [22, 8];
const costs = { rule: 'cost', costMiss: 20, costAlarm: 1 } as const;
/** A scratched plate among the good ones, as it may slip in. */
const oddName = 'train/good/odd.jpg';

let folder: string;
let store: ObjectStore;
let compute: Compute;
let bundle: Bundle;

async function fitPlates(options: Partial<FitOptions> = {}): Promise<Bundle> {
  return await fitBundle({
    images: await directoryImages(folder),
    defects: await directoryDefects(folder),
    product: 'plate',
    seed: 0,
    network: 'int8',
    activate: true,
    store,
    compute,
    maxImageBytes: 1e6,
    logger: pino({ level: 'silent' }),
    ...options,
  });
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'patchline-threshold-'));
  for (const name of ['train/good', 'train/scratch']) await mkdir(join(folder, name), { recursive: true });
  for (let index = 0; index < goodImages; index++) {
    await writeFile(join(folder, `train/good/${index}.jpg`), await plateJpeg(index));
  }
  await writeFile(join(folder, oddName), await plateJpeg(400, { scratched: true }));
  for (let index = 0; index < defectImages; index++) {
    await writeFile(join(folder, `train/scratch/${index}.jpg`), await plateJpeg(500 + index, { scratched: true }));
  }
  store = await openStore(join(folder, 'store'));
  compute = createCompute({ threads: 2 });
  bundle = await fitPlates({ threshold: costs });
});
afterAll(async () => {
  await compute.close();
  await rm(folder, { recursive: true });
});

const cardOf = async ({ product, version }: Bundle) =>
  new TextDecoder().decode(await store.get(bundleCardKey(product, version)));
const codesOf = ({ warnings }: Bundle) => warnings.map(({ code }) => code);
const sourcesOf = (bytes: Uint8Array[]): TrainingSource[] =>
  bytes.map((content, index) => ({ name: `${index}.jpg`, read: async () => content }));

/** What inspecting the labelled defects gives. */
async function inspectedScores({ product, version }: Bundle): Promise<number[]> {
  const scorer = createScorer(compute, { limits: { maxImageBytes: 1e6 }, maxLoadedBundles: 2 });
  const loaded = await loadBundle(store, product, version);
  const scores: number[] = [];
  for (const { read } of await directoryDefects(folder)) {
    scores.push((await scorer.score(await read(), loaded)).scored.anomalyScore);
  }
  return scores;
}

describe('labelled defects', () => {
  test('are scored as inspecting them does', async () => {
    expectClose(bundle.heldOut!.defects!, await inspectedScores(bundle), { rtol: 1e-3 });
  });

  test.each(['position', 'reweighted'] as const)('so it is for the score %s and a part of the image', async (score) => {
    const roi: [number, number][] = [
      [0.5, 0.2],
      [1, 0.2],
      [1, 0.9],
      [0.5, 0.9],
    ];
    const other = await fitPlates({ product: score, score, region: { roi: [roi], ignore: [] } });
    expectClose(other.heldOut!.defects!, await inspectedScores(other), { rtol: 1e-3 });
    expect(Math.min(...other.heldOut!.defects!)).toBeGreaterThan(other.median);
  });

  test('weigh what misses and false alarms cost', async () => {
    const { threshold, falseAlarms, bestF1, thresholdRule, heldOut } = bundle;
    const { good, defects } = heldOut as { good: number[]; defects: number[] };
    const flagged = good.filter((score) => score >= threshold).length;
    expect(thresholdRule).toEqual(costs);
    expect(good).toHaveLength(goodImages + 1);
    expect(falseAlarms).toEqual({ rate: flagged / good.length, interval: wilsonInterval(flagged, good.length) });
    expect(Math.min(...defects)).toBeGreaterThan(threshold);
    expect(bestF1!.f1).toBeGreaterThan(0.5);
    const card = await cardOf(bundle);
    expect(card).toContain('misses at 20 each and false alarms at 1 each cost least among 23 good images');
    expect(card).toContain('Labelled defects missed at this threshold: 0 of 8');
    expect(card).toMatch(/the largest F1 in hindsight is [01]\.\d{3}, at severity \d+: \d misses, \d false alarms/);
  });

  test.each([4, 5])('%i of which one is cut short are too few to weigh', async (count) => {
    const whole = (await directoryDefects(folder)).slice(0, count - 1);
    const bytes = await plateJpeg(500, { scratched: true });
    const defects = [...whole, { name: 'cut.jpg', read: async () => bytes.subarray(0, bytes.length / 2) }];
    await expect(fitPlates({ product: 'few', defects, threshold: costs })).rejects.toEqual(
      expect.objectContaining({ code: 'TOO_FEW_IMAGES', message: expect.stringContaining('received 4') }),
    );
    expect(await activeVersion(store, 'few')).toBeUndefined();
  });
});

test('an odd image among the good ones is named and shown', async () => {
  const [worst] = bundle.oddImages;
  expect(bundle.training.images[worst!.image]!.name).toBe(oddName);
  expect(worst!.severity).toBeGreaterThan(100);
  expect(bundle.warnings.find(({ code }) => code === 'ODD_IMAGES')!.message).toContain(oddName);
  expect(await cardOf(bundle)).toContain(`${oddName}, severity ${worst!.severity.toFixed(0)}`);
  const picture = await sharp(await store.get(oddImagesKey('plate', 'v1'))).metadata();
  expect(picture).toMatchObject({ format: 'jpeg', width: 16 + 3 * 216 });
});

test('a wanted rate of false alarms is kept with its interval', async () => {
  const { thresholdRule, falseAlarms, ...found } = await fitPlates({
    product: 'rate',
    score: 'position',
    threshold: { rule: 'false-alarms', rate: 0.02 },
  });
  expect(thresholdRule).toMatchObject({ rule: 'false-alarms', rate: 0.02, tail: { images: 10 } });
  const [low, high] = falseAlarms!.interval;
  expect([falseAlarms!.rate, low < 0.02, high > 0.02]).toEqual([0.02, true, true]);
  expect(found.threshold).toBeGreaterThan(found.median + found.spread);
  expect(found.warnings.map(({ code }) => code)).toContain('FALSE_ALARMS_EXTRAPOLATED');
  const card = await cardOf({ thresholdRule, falseAlarms, ...found });
  expect(card).toMatch(/what 2 % of good images .* an exponential tail through the upper 10 of 23/);
  expect(card).toMatch(/Flagged at this threshold: 2 % \(95 %: [\d.]+ % to [\d.]+ %\) of good images/);
});

test('an image and its copy are held out together', async () => {
  const bytes = await Promise.all(Array.from({ length: 12 }, (_, index) => plateJpeg(index)));
  const images = sourcesOf([...bytes, ...bytes]);
  const twice = await fitPlates({ product: 'twice', score: 'position', defects: [], images });
  expect(codesOf(twice).slice(0, 2)).toEqual(['FEW_TRAINING_IMAGES', 'DUPLICATE_IMAGES']);
  expect(twice.warnings[1]!.message).toMatch(/^12 of 24 images .* 12 are different; 20 would do: 12\.jpg as 0\.jpg,/);
  expect(twice.settings.folds).toBe(12);
  expect(codesOf(bundle)).not.toContain('DUPLICATE_IMAGES');
  const distancesOf = async ({ parts, images }: Bundle) => {
    const array = readNpy(await store.get(parts['held-out-distances'].key));
    return expectArray(array, 'distances', 'float32', [images, 216]).data;
  };
  const distances = await distancesOf(twice);
  expectClose(distances.slice(0, 12 * 216), distances.slice(12 * 216), { atol: 1e-5 });
  const meanOf = (values: Float32Array) => values.reduce((sum, value) => sum + value, 0) / values.length;
  expect(meanOf(distances)).toBeGreaterThan(0.8 * meanOf(await distancesOf(bundle))); // a copy in the bank would make it 0
});

describe('a threshold set by hand', () => {
  test('is a new version that shares everything else', async () => {
    const { bundle: changed, before, after } = await changeThreshold(store, bundle, { severity: 150, activate: true });
    expect(await activeVersion(store, 'plate')).toBe(changed.version);
    expect(await readBundle(store, 'plate', changed.version)).toEqual(changed);
    expect(changed.parts).toEqual(bundle.parts);
    expect(changed.subspace).toEqual(bundle.subspace);
    expect(changed.training).toEqual(bundle.training);
    expect(changed.thresholdRule).toEqual({ rule: 'by-hand', severity: 150, base: 'v1' });
    expect(changed.threshold).toBeCloseTo(bundle.median + 1.5 * (bundle.threshold - bundle.median), 12);
    expect([before.threshold, after.threshold]).toEqual([bundle.threshold, changed.threshold]);
    const { good, defects } = bundle.heldOut as { good: number[]; defects: number[] };
    for (const { threshold, falseAlarms, misses } of [before, after]) {
      const count = good.filter((score) => score >= threshold).length;
      const interval = wilsonInterval(count, good.length);
      expect(falseAlarms).toEqual({ count, images: good.length, rate: count / good.length, interval });
      expect(misses).toEqual({ count: defects.filter((score) => score < threshold).length, images: 8 });
    }
    const card = await cardOf(changed);
    expect(card).toContain('That is severity 150 of v1, set by hand');
    expect(await store.head(oddImagesKey('plate', changed.version))).toBeDefined();
  });

  test('inspects with the same scores on another scale, from pictures that are there', async () => {
    const { bundle: changed } = await changeThreshold(store, bundle, { severity: 50, activate: false });
    expect(await activeVersion(store, 'plate')).not.toBe(changed.version);
    const scorer = createScorer(compute, { limits: { maxImageBytes: 1e6 }, maxLoadedBundles: 2 });
    const bytes = await plateJpeg(500, { scratched: true });
    const scoreBy = async (version: string) =>
      (await scorer.score(bytes, await loadBundle(store, 'plate', version))).scored;
    const [first, second] = [await scoreBy('v1'), await scoreBy(changed.version)];
    expect(second.anomalyScore).toBe(first.anomalyScore);
    expect(second.severity).toBeCloseTo(2 * first.severity, 6);
    expect(second.nearestNormal).toEqual(first.nearestNormal);
    expect(await store.head(trainingPictureKey(changed, 0))).toBeDefined();
  });

  test('is judged by recomputed scores where a bundle of an earlier release kept none', async () => {
    const { heldOut, thresholdRule: _, oddImages: __, falseAlarms: ___, bestF1: ____, ...old } = bundle;
    await putJson(store, bundleKey('plate', 'v90'), { ...old, version: 'v90' });
    const base = await readBundle(store, 'plate', 'v90');
    expect(base).toMatchObject({ thresholdRule: { rule: 'robust' }, oddImages: [] });
    const { bundle: changed, after } = await changeThreshold(store, base, { severity: 100, activate: false });
    expectClose(changed.heldOut!.good, heldOut!.good, { rtol: 1e-6 });
    expect(after.misses).toBeUndefined();
    expect(changed.oddImages.map(({ image }) => image)).toEqual(bundle.oddImages.map(({ image }) => image));
    const reweighted = { ...base, score: 'reweighted' } as const;
    await expect(changeThreshold(store, reweighted, { severity: 100, activate: false })).rejects.toEqual(
      expect.objectContaining({ code: 'BUNDLE_DAMAGED', message: expect.stringContaining('reweighted') }),
    );
    expect(((await getJson(store, bundleKey('plate', 'v90'))) as Bundle).version).toBe('v90');
  });
});
