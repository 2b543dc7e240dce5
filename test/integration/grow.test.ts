import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type FitOptions, fitBundle } from '../../src/fit/fit.js';
import { type Grown, type GrowOptions, growBundle } from '../../src/fit/grow.js';
import { loadBase } from '../../src/fit/grow-base.js';
import type { TrainingSource } from '../../src/fit/training-images.js';
import { activeVersion } from '../../src/shared/active-bundle.js';
import { allParts, type Bundle, bundleCardKey, bundleKey, trainingPictureKey } from '../../src/shared/bundle.js';
import { type Compute, createCompute } from '../../src/shared/compute.js';
import { loadBundle } from '../../src/shared/loaded-bundle.js';
import { networks } from '../../src/shared/networks.js';
import { createScorer, type Scorer } from '../../src/shared/patchcore/scorer.js';
import { type ObjectStore, putJson } from '../../src/shared/store/object-store.js';
import { openStore } from '../../src/shared/store/open-store.js';
import { expectClose } from '../helpers/arrays.js';
import { plateJpeg, plateSize } from '../helpers/plates.js';

const [training, more] = [24, 6];
let folder: string;
let store: ObjectStore;
let compute: Compute;
let scorer: Scorer;
let base: Bundle;

const source = (name: string, read: () => Promise<Uint8Array>): TrainingSource => ({ name, read });
const plates = (from: number, count: number): TrainingSource[] =>
  Array.from({ length: count }, (_, index) => source(`${from + index}.jpg`, () => plateJpeg(from + index)));
/** Plates that lie the other way round: good ones such as no bundle has seen. */
const turnedPlate = async (seed: number, options?: { scratched: boolean }) =>
  sharp(await plateJpeg(seed, options))
    .flop()
    .jpeg({ quality: 92 })
    .toBuffer();
const turnedPlates = (from: number, count: number): TrainingSource[] =>
  Array.from({ length: count }, (_, index) => source(`turned-${from + index}.jpg`, () => turnedPlate(from + index)));

const common = () => ({
  ...{ product: 'plate', activate: false, store, compute, maxImageBytes: 1e6 },
  logger: pino({ level: 'silent' }),
});
const fitPlates = (options: Partial<FitOptions> = {}) =>
  fitBundle({ ...common(), images: plates(0, training), seed: 0, network: 'int8', ...options });
const grow = (images: TrainingSource[], options: Partial<GrowOptions> = {}): Promise<Grown> =>
  growBundle({ ...common(), images, base: 'v1', ...options });

const shasOf = (bundle: Bundle) =>
  Object.fromEntries(Object.entries(allParts(bundle)).map(([name, { sha256 }]) => [name, sha256]));
/** Warnings, but those about how good parts of so few images look. */
const codesOf = ({ warnings }: Bundle) =>
  warnings.map(({ code }) => code).filter((code) => !['FEW_TRAINING_IMAGES', 'ODD_IMAGES'].includes(code));
const messageOf = ({ warnings }: Bundle, code: string) => warnings.find((warning) => warning.code === code)?.message;
const failure = (code: string, ...texts: string[]) =>
  expect.objectContaining({ code, message: expect.stringMatching(new RegExp(texts.join('.*'), 's')) });

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'patchline-grow-'));
  store = await openStore(folder);
  compute = createCompute({ threads: 2 });
  scorer = createScorer(compute, { limits: { maxImageBytes: 1e6 }, maxLoadedBundles: 2 });
  base = await fitPlates({ activate: true });
});
afterAll(async () => {
  await compute.close();
  await rm(folder, { recursive: true });
});

describe('a bundle that has grown', () => {
  let grown: Bundle;
  beforeAll(async () => {
    ({ bundle: grown } = await grow(plates(100, more)));
  });

  test('is a new version, has all images and keeps the settings of its base', async () => {
    const { profile, score, seed, network, input, tiles, aspect, grid, layers, neighbourhood, dims, settings } = base;
    const kept = { profile, score, seed, network, input, tiles, aspect, grid, layers, neighbourhood, dims, settings };
    expect(grown).toMatchObject({ ...kept, base: 'v1', images: training + more, formats: ['jpeg'] });
    expect(codesOf(grown)).toEqual(codesOf(base));
    expect(grown.version).not.toBe('v1');
    expect(grown.patches).toBe(((training + more) * base.patches) / training);
    expect(grown.threshold).toBeCloseTo(grown.median + 2 * grown.spread, 9);
    expect(grown.heldOut!.good).toHaveLength(training + more);
    expect(await activeVersion(store, 'plate')).toBe('v1');
    const card = new TextDecoder().decode(await store.get(bundleCardKey('plate', grown.version)));
    expect(card).toMatch(RegExp(`^Product plate, bundle ${grown.version}, grown from v1, fitted`));
    expect(card).toContain('30 good images (jpeg), 180 x 120 pixels');
  });

  test('keeps its projections, and the pictures of the old images to the byte', async () => {
    for (const name of ['projection-matrix', 'projection-bias'] as const) {
      expect(grown.parts[name].sha256).toBe(base.parts[name].sha256);
    }
    expect(grown.subspace!.parts['subspace-matrix'].sha256).toBe(base.subspace!.parts['subspace-matrix'].sha256);
    expect(grown.training.images.slice(0, training)).toEqual(base.training.images);
    expect(grown.training.images.slice(training).map(({ name }) => name)).toEqual(plates(100, more).map((p) => p.name));
    expect(grown.training.images[training]).toMatchObject(plateSize);
    for (const image of [0, training - 1]) {
      const [before, after] = [trainingPictureKey(base, image), trainingPictureKey(grown, image)];
      expect(Buffer.compare(await store.get(before), await store.get(after))).toBe(0);
    }
    const picture = await sharp(await store.get(trainingPictureKey(grown, training + more - 1))).metadata();
    expect(picture).toMatchObject({ width: base.input.width, height: base.input.height });
  });

  test('has the patches of old and new images in its bank, and knows whose they are', async () => {
    const [before, after] = [await loadBundle(store, 'plate', 'v1'), await loadBundle(store, 'plate', grown.version)];
    const patches = base.patches / training;
    const rowOf = (loaded: typeof after) =>
      new Map(
        Array.from(loaded.sources, (place, row) => [
          place,
          loaded.scoring.rows.subarray(row * base.dims, (row + 1) * base.dims),
        ]),
      );
    const [old, now] = [rowOf(before), rowOf(after)];
    expect(now.size).toBe((training + more) * patches); // fewer than a bank may hold: none is left out
    for (const [place, row] of old) expectClose(now.get(place)!, row, {}, `patch ${place}`);
    const images = new Set([...now.keys()].map((place) => Math.floor(place / patches)));
    expect(images.size).toBe(training + more);
  });

  test('keeps what was measured of the old images and measures the new ones by models that have not seen them', async () => {
    const [before, after] = [await loadBundle(store, 'plate', 'v1'), await loadBundle(store, 'plate', grown.version)];
    for (const part of ['heldOutDistances', 'heldOutResiduals'] as const) {
      const [old, now] = [before[part]!, after[part]!];
      expectClose(now.subarray(0, old.length), old, {}, part);
      const mean = (values: Float32Array) => values.reduce((sum, value) => sum + value / values.length, 0);
      const ratio = mean(now.subarray(old.length)) / mean(old);
      expect(ratio).toBeGreaterThan(0.8); // a model that has seen them would find next to nothing
      expect(ratio).toBeLessThan(1.25);
    }
  });

  test('scores like a fit of all images', async () => {
    const whole = await fitPlates({ images: [...plates(0, training), ...plates(100, more)] });
    const versions = await Promise.all(
      [grown.version, whole.version].map((version) => loadBundle(store, 'plate', version)),
    );
    for (let seed = 0; seed < 4; seed++) {
      for (const scratched of [false, true]) {
        const bytes = await plateJpeg(3000 + seed, { scratched });
        const [byGrown, byWhole] = await Promise.all(versions.map((bundle) => scorer.score(bytes, bundle)));
        const verdict = scratched ? 'anomalous' : 'good';
        expect([byGrown!.scored.verdict, byWhole!.scored.verdict]).toEqual([verdict, verdict]);
        const severities = [byGrown!.scored.severity, byWhole!.scored.severity] as const;
        if (scratched) expect(Math.max(...severities) / Math.min(...severities)).toBeLessThan(1.5);
      }
    }
  });

  test('is the same to the byte again, and with one thread', async () => {
    const one = createCompute({ threads: 1 });
    const { bundle: again } = await grow(plates(100, more), { compute: one });
    await one.close();
    expect(shasOf(again)).toEqual(shasOf(grown));
    expect(again.threshold).toBe(grown.threshold);
  });

  test('can grow again, by one image', async () => {
    const { bundle: twice } = await grow(plates(200, 1), { base: grown.version, activate: true });
    expect(twice).toMatchObject({ base: grown.version, images: training + more + 1 });
    expect(twice.classifier.count).toBeGreaterThan(grown.classifier.count);
    const loaded = await loadBundle(store, 'plate', twice.version);
    expect(await activeVersion(store, 'plate')).toBe(twice.version);
    const { scored } = await scorer.score(await plateJpeg(4000, { scratched: true }), loaded);
    expect(scored.verdict).toBe('anomalous');
  });
});

test('what was flagged, and confirmed as good, is no longer flagged; defects still are', async () => {
  const { bundle: grown } = await grow(turnedPlates(0, 12));
  const [before, after] = [await loadBundle(store, 'plate', 'v1'), await loadBundle(store, 'plate', grown.version)];
  const verdictsOf = (bytes: Uint8Array) =>
    Promise.all([before, after].map(async (bundle) => (await scorer.score(bytes, bundle)).scored.verdict));
  for (let seed = 3000; seed < 3004; seed++) {
    expect(await verdictsOf(await turnedPlate(seed))).toEqual(['anomalous', 'good']);
    expect((await verdictsOf(await turnedPlate(seed, { scratched: true })))[1]).toBe('anomalous');
    expect(await verdictsOf(await plateJpeg(seed))).toEqual(['good', 'good']);
    expect((await verdictsOf(await plateJpeg(seed, { scratched: true })))[1]).toBe('anomalous');
  }
});

describe('images that are added', () => {
  test('are left out where the bundle has learned from them, whatever they are called', async () => {
    const anew = source('anew.png', async () =>
      sharp(await plateJpeg(4))
        .png()
        .toBuffer(),
    );
    const again = [source('renamed.jpg', () => plateJpeg(3)), anew, ...plates(5, 1)];
    const { bundle, known } = await grow([...again, ...plates(100, 2)]);
    expect(known).toEqual(['renamed.jpg', 'anew.png', '5.jpg']);
    expect(bundle.images).toBe(training + 2);
    await expect(grow(again)).rejects.toEqual(failure('TOO_FEW_IMAGES', 'at least 1', 'v1', '3 are in it already'));
  });

  test('that cannot be read, or have another shape, are named; without any there is no new version', async () => {
    const broken = source('broken.jpg', async () => new TextEncoder().encode('not an image'));
    const cut = source('cut.jpg', async () => (await plateJpeg(300)).subarray(0, 2000));
    const square = source('square.jpg', async () =>
      sharp(await plateJpeg(301))
        .resize(120, 120, { fit: 'fill' })
        .jpeg()
        .toBuffer(),
    );
    const { bundle } = await grow([broken, cut, square, ...plates(100, 7)]);
    expect(bundle.images).toBe(training + 8);
    expect(codesOf(bundle)).toEqual(['TRAINING_IMAGES_SKIPPED', 'IMAGE_ASPECT_MISMATCH']);
    expect(messageOf(bundle, 'TRAINING_IMAGES_SKIPPED')).toMatch(/broken\.jpg .*cut\.jpg/);
    expect(messageOf(bundle, 'IMAGE_ASPECT_MISMATCH')).toMatch(/^1 added .* 1\.50 times .*square\.jpg/);
    expect(bundle.training.images[training]).toEqual({ name: 'square.jpg', height: 120, width: 120 });
    await expect(grow([broken])).rejects.toEqual(failure('DATASET_INVALID', 'broken.jpg'));
    await expect(grow([])).rejects.toEqual(failure('TOO_FEW_IMAGES', 'at least 1 readable training image '));
  });
});

/** The base as if something in it were otherwise. */
async function writeAs(version: string, changes: Partial<Bundle>): Promise<string> {
  await putJson(store, bundleKey('plate', version), { ...base, version, ...changes });
  return version;
}

describe('the threshold of a bundle that has grown', () => {
  test('is found by the rule of its base, or by the one asked for', async () => {
    const tail = { start: 1, scale: 1, images: 10 };
    const asked = await writeAs('v106', { thresholdRule: { rule: 'false-alarms', rate: 0.1, tail } });
    const { bundle } = await grow(plates(100, 2), { base: asked });
    expect(bundle.thresholdRule).toMatchObject({ rule: 'false-alarms', rate: 0.1 });
    const cost = { rule: 'cost', costMiss: 10, costAlarm: 1 } as const;
    await expect(grow(plates(100, 2), { threshold: cost })).rejects.toEqual(failure('TOO_FEW_IMAGES', 'defects'));
  });

  test('says so where the one of its base was set by hand', async () => {
    const byHand = await writeAs('v107', {
      thresholdRule: { rule: 'by-hand', severity: 120, base: 'v1' },
      threshold: 9,
    });
    const { bundle } = await grow(plates(100, 2), { base: byHand });
    expect(bundle.thresholdRule).toEqual({ rule: 'robust' });
    expect(codesOf(bundle)).toEqual(['THRESHOLD_RESET']);
  });
});

describe('classifier and risk model', () => {
  const defects = (from: number, count: number): TrainingSource[] =>
    Array.from({ length: count }, (_, index) =>
      source(`train/scratch/${from + index}.jpg`, () => plateJpeg(from + index, { scratched: true })),
    );
  const kindOf = ({ classifier }: Bundle) => [classifier.defects, classifier.count];

  test('learn from the labelled defects of the base and from new ones, however few', async () => {
    const labelled = await writeAs('v104', {
      classifier: { ...base.classifier, defects: 'labelled' },
      heldOut: { ...base.heldOut!, defects: [7, 8, 9] },
    });
    const { bundle } = await grow(plates(100, 2), { base: labelled, defects: defects(2100, 2) });
    expect(kindOf(bundle)).toEqual(['labelled', base.classifier.count + 2]);
    expect(bundle.heldOut!.defects!.slice(0, 3)).toEqual([7, 8, 9]);
    expect(bundle.heldOut!.defects).toHaveLength(5);
    const { samples } = await loadBase(store, 'plate', bundle.version);
    expect(samples.labels.indexOf(1)).toBe(training + 2);
    expect(samples.labels).toHaveLength(training + 2 + base.classifier.count + 2);
  });

  test('learn once from each defect', async () => {
    const { bundle: labelled } = await grow(plates(100, 1), { defects: defects(2000, 5) });
    const base = labelled.version;
    const anew = source('anew.png', async () =>
      sharp(await plateJpeg(2003, { scratched: true }))
        .png()
        .toBuffer(),
    );
    const again = source('again.jpg', () => plateJpeg(2005, { scratched: true }));
    const { bundle, known } = await grow(plates(101, 1), { base, defects: [...defects(2002, 4), anew, again] });
    expect(kindOf(bundle)).toEqual(['labelled', 6]);
    expect(bundle.heldOut!.defects).toHaveLength(6);
    expect(known).toEqual([...defects(2002, 3).map(({ name }) => name), 'anew.png']);
    expect(messageOf(bundle, 'DUPLICATE_DEFECT_IMAGES')).toMatch(/^1 labelled .*: again\.jpg$/);
  });

  test('are told apart from what the base has learned as good', async () => {
    const { bundle } = await grow(plates(100, 1), { defects: [...plates(3, 1), ...defects(2000, 5)] });
    expect(messageOf(bundle, 'DEFECTS_LEARNED_AS_GOOD')).toMatch(/^1 images that v1 has learned .*: 3\.jpg$/);
  });

  test('no longer learn from defects that were made up once there are enough labelled ones', async () => {
    const { bundle } = await grow(plates(100, 2), { defects: defects(2000, 5) });
    expect(kindOf(bundle)).toEqual(['labelled', 5]);
    expect(codesOf(bundle)).toEqual(['FEW_DEFECT_IMAGES']);
    expect(bundle.heldOut!.defects).toHaveLength(5);
    expect(Math.min(...bundle.heldOut!.defects!)).toBeGreaterThan(bundle.threshold);
  });
});

test('the profile classic grows too: its bank keeps its share of the patches', async () => {
  const product = 'classic';
  const before = await fitPlates({ product, profile: 'classic', score: 'reweighted' });
  const { bundle } = await grow(plates(100, 3), { product });
  expect(bundle).toMatchObject({
    profile: 'classic',
    score: 'reweighted',
    neighbourhood: 'padded',
    images: training + 3,
  });
  expect(bundle.heldOut!.good).toHaveLength(training + 3);
  expect(bundle.heldOut!.good.slice(0, training)).toEqual(before.heldOut!.good);
  expect(bundle.subspace).toBeUndefined();
  expect(bundle.rows).toBe(Math.ceil(0.1 * bundle.patches));
  const loaded = await loadBundle(store, product, bundle.version);
  const { scored } = await scorer.score(await plateJpeg(4000, { scratched: true }), loaded);
  expect(scored.verdict).toBe('anomalous');
});

describe('a base is refused', () => {
  const growFrom = async (version: string, changes: Partial<Bundle>) =>
    grow(plates(100, 2), { base: await writeAs(version, changes) });

  test('that is not there', async () => {
    await expect(grow(plates(100, 2), { base: 'v99' })).rejects.toEqual(failure('BUNDLE_NOT_FOUND', 'v99', 'plate'));
  });

  test('whose network is not that of this release', async () => {
    const network = { ...base.network, sha256: networks.float.sha256 };
    await expect(growFrom('v101', { network })).rejects.toEqual(failure('BUNDLE_NETWORK_MISMATCH', 'v101'));
  });

  test('that keeps no samples, as those of earlier releases', async () => {
    await expect(growFrom('v102', { sampleParts: undefined })).rejects.toEqual(
      failure('BUNDLE_CANNOT_GROW', 'v102', 'fit it anew'),
    );
  });

  test('that is damaged', async () => {
    const { bank } = base.parts;
    const bytes = Uint8Array.from(await store.get(bank.key));
    bytes[bytes.length - 1]! ^= 1;
    await store.put('bundles/plate/v105/bank.npy', bytes);
    const parts = { ...base.parts, bank: { ...bank, key: 'bundles/plate/v105/bank.npy' } };
    await expect(growFrom('v105', { parts })).rejects.toEqual(failure('BUNDLE_DAMAGED', 'bank', 'sha256'));
  });
});
