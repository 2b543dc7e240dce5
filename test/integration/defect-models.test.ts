import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { evaluateBundle } from '../../src/fit/evaluate.js';
import { type FitOptions, fitBundle } from '../../src/fit/fit.js';
import { directoryDefects, directoryImages, storeDefects, type TrainingSource } from '../../src/fit/training-images.js';
import { type Bundle, bundleCardKey, partNames } from '../../src/shared/bundle.js';
import { type Compute, createCompute } from '../../src/shared/compute.js';
import { estimateDepth } from '../../src/shared/depth.js';
import { readableFeatures } from '../../src/shared/kernels/readable-features.js';
import { type RiskFunction, riskProbability } from '../../src/shared/kernels/risk-function.js';
import { type LoadedBundle, loadBundle } from '../../src/shared/loaded-bundle.js';
import { createScorer, type Scorer } from '../../src/shared/patchcore/scorer.js';
import type { ObjectStore } from '../../src/shared/store/object-store.js';
import { openStore } from '../../src/shared/store/open-store.js';
import { plateJpeg, writePlates } from '../helpers/plates.js';

const [trainImages, labelledDefects] = [24, 12];
const limits = { maxImageBytes: 1e6 };
const maxLoadedBundles = 2;

let folder: string;
let store: ObjectStore;
let compute: Compute;
let scorer: Scorer;
let bundle: Bundle;
let loaded: LoadedBundle;

async function fitPlates(options: Partial<FitOptions> = {}): Promise<Bundle> {
  const common = {
    product: 'plate',
    seed: 0,
    network: 'int8',
    score: 'position',
    activate: false,
    logger: pino({ level: 'silent' }),
  } as const;
  const { maxImageBytes } = limits;
  return fitBundle({ images: await directoryImages(folder), store, compute, maxImageBytes, ...common, ...options });
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'patchline-defects-'));
  await writePlates(folder, { train: trainImages, test: 8 });
  await mkdir(join(folder, 'train/scratch'));
  for (let index = 0; index < labelledDefects; index++) {
    await writeFile(join(folder, `train/scratch/${index}.jpg`), await plateJpeg(500 + index, { scratched: true }));
  }
  store = await openStore(join(folder, 'store'));
  compute = createCompute({ threads: 2 });
  scorer = createScorer(compute, { limits, maxLoadedBundles });
  bundle = await fitPlates({ defects: await directoryDefects(folder) });
  loaded = await loadBundle(store, 'plate', 'v1');
});
afterAll(async () => {
  await compute.close();
  await rm(folder, { recursive: true });
});

const codesOf = ({ warnings }: Bundle) => warnings.map(({ code }) => code);

/** (5), as the features stage extracts them. */
async function featuresOf(bytes: Uint8Array): Promise<Float64Array> {
  const { scored, pixels, height: H, width: W } = await scorer.score(bytes, loaded);
  const { mean: meanPatchDistance, max: maxPatchDistance } = scored.patchDistance;
  return readableFeatures({
    meanPatchDistance,
    maxPatchDistance,
    depth: await estimateDepth(pixels, H, W),
    pixels,
    H,
    W,
  });
}

async function rowsOf(seeds: number[], scratched: boolean): Promise<Float64Array> {
  const rows: number[] = [];
  for (const seed of seeds) rows.push(...(await featuresOf(await plateJpeg(seed, { scratched }))));
  return Float64Array.from(rows);
}

const range = (from: number, count: number) => Array.from({ length: count }, (_, index) => from + index);
const meanRisk = (model: RiskFunction, rows: Float64Array) =>
  riskProbability(model, rows).reduce((sum, risk) => sum + risk, 0) / (rows.length / 5);

describe('labelled defects', () => {
  test('are what classifier and risk model learn from, and stay out of the bank', async () => {
    expect(bundle.classifier).toMatchObject({ defects: 'labelled', count: labelledDefects, weak: false });
    expect(bundle.classifier.auroc).toBeGreaterThan(0.9);
    expect(bundle.risk.auroc).toBeGreaterThan(0.9);
    expect(bundle).toMatchObject({ images: trainImages, rows: trainImages * 12 * 18 });
    expect(codesOf(bundle)).toEqual(['FEW_TRAINING_IMAGES', 'FEW_DEFECT_IMAGES']);
    const card = new TextDecoder().decode(await store.get(bundleCardKey('plate', 'v1')));
    expect(card).toContain(`From ${labelledDefects} labelled images of defects`);
    expect(card).toContain(`Classifier of the whole image: AUROC ${bundle.classifier.auroc.toFixed(3)}`);
    expect(card).toContain(`Risk by the five readable features: AUROC ${bundle.risk.auroc.toFixed(3)}`);
  });

  test('change nothing about how images are scored', async () => {
    const without = await fitPlates();
    expect(without).toMatchObject({
      threshold: bundle.threshold,
      median: bundle.median,
      mapQuantile: bundle.mapQuantile,
    });
    const scoring = partNames.filter((name) => name !== 'classifier-weights' && name !== 'risk-background');
    for (const name of scoring) expect(without.parts[name].sha256).toBe(bundle.parts[name].sha256);
    expect(without.parts['classifier-weights'].sha256).not.toBe(bundle.parts['classifier-weights'].sha256);
    expect(without.classifier).toMatchObject({ defects: 'synthetic', count: 120 });
    expect(without.risk.auroc).toBeGreaterThan(0.7);
    expect(codesOf(without)).toEqual(['FEW_TRAINING_IMAGES']);
  });

  test('give the same bytes with one thread', async () => {
    const one = createCompute({ threads: 1 });
    const again = await fitPlates({ defects: await directoryDefects(folder), compute: one });
    await one.close();
    for (const name of partNames) expect(again.parts[name].sha256).toBe(bundle.parts[name].sha256);
    expect(again.classifier).toEqual(bundle.classifier);
    expect(again.risk).toEqual(bundle.risk);
  });

  test('too few or unreadable are named, and defects made up instead', async () => {
    const defects: TrainingSource[] = [
      ...range(0, 4).map((index) => ({
        name: `${index}.jpg`,
        read: () => plateJpeg(500 + index, { scratched: true }),
      })),
      { name: 'broken.jpg', read: async () => Uint8Array.of(1, 2, 3) },
    ];
    const few = await fitPlates({ defects });
    expect(few.classifier.defects).toBe('synthetic');
    expect(codesOf(few)).toEqual(['FEW_TRAINING_IMAGES', 'DEFECT_IMAGES_SKIPPED', 'FEW_DEFECT_IMAGES']);
    expect(few.warnings[1]!.message).toMatch(/1 labelled .* broken\.jpg \(IMAGE_UNREADABLE/);
    expect(few.warnings[2]!.message).toMatch(/^4 labelled .* made up; give at least 5$/);
  });

  test('are found in train/, in a folder and in a store', async () => {
    const names = (sources: TrainingSource[]) => sources.map(({ name }) => name);
    const expected = range(0, labelledDefects)
      .map((index) => `train/scratch/${index}.jpg`)
      .sort();
    expect(names(await directoryDefects(folder))).toEqual(expected);
    const images = await openStore(folder);
    const found = await storeDefects(images);
    expect(names(found)).toEqual(expected);
    expect(Buffer.from(await found[0]!.read())).toEqual(await plateJpeg(500, { scratched: true }));
    expect(names(await storeDefects(images, 'train/'))).toEqual([]);
    expect(names(await directoryDefects(join(folder, 'test')))).toEqual([]);
    expect(names(await directoryImages(folder))).toHaveLength(trainImages);
  });
});

describe('risk', () => {
  test('is low for good plates and high for scratched ones', async () => {
    expect(meanRisk(loaded.risk.model, await rowsOf(range(3000, 10), false))).toBeLessThan(0.25);
    expect(meanRisk(loaded.risk.model, await rowsOf(range(4000, 10), true))).toBeGreaterThan(0.75);
  });

  test('is explained against held-out good images', () => {
    const { background, usual } = loaded.risk;
    expect(background).toHaveLength(trainImages * 5);
    for (let row = 0; row < trainImages; row++) expect(background[5 * row]).toBeGreaterThan(usual[0]! / 3);
    expect(meanRisk(loaded.risk.model, background)).toBeLessThan(0.25);
  });
});

test('evaluate tells how classifier and risk model do on labelled images', async () => {
  const { evaluation } = await evaluateBundle({ directory: folder, bundle: loaded, scorer, compute });
  expect(evaluation.riskAuroc).toBe(1);
  expect(evaluation.classifierAuroc).toBeGreaterThan(0.9);
  const flipped = { ...loaded.classifier, weights: loaded.classifier.weights.map((weight) => -weight) };
  const { evaluation: other } = await evaluateBundle({
    directory: folder,
    bundle: { ...loaded, classifier: flipped },
    scorer,
    compute,
  });
  expect(other.classifierAuroc).toBeCloseTo(1 - evaluation.classifierAuroc!, 9);
  expect(other.riskAuroc).toBe(1);
});
