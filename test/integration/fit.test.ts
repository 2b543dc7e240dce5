import { cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { evaluateBundle } from '../../src/fit/evaluate.js';
import { type FitOptions, type FitProgress, fitBundle } from '../../src/fit/fit.js';
import { directoryImages, storeImages, type TrainingSource } from '../../src/fit/training-images.js';
import { activeVersion } from '../../src/shared/active-bundle.js';
import {
  type Bundle,
  bundleCardKey,
  listBundles,
  partNames,
  subspacePartNames,
  trainingPictureKey,
} from '../../src/shared/bundle.js';
import { type Compute, createCompute, shareFloats } from '../../src/shared/compute.js';
import { type Scored, scoredSchema } from '../../src/shared/contracts.js';
import { decodeFloat16 } from '../../src/shared/float16.js';
import { type LoadedBundle, loadBundle } from '../../src/shared/loaded-bundle.js';
import { networks } from '../../src/shared/networks.js';
import { expectArray, readNpy } from '../../src/shared/npy.js';
import { readNpz } from '../../src/shared/npz.js';
import { createScorer, type Scorer } from '../../src/shared/patchcore/scorer.js';
import type { ObjectStore } from '../../src/shared/store/object-store.js';
import { openStore } from '../../src/shared/store/open-store.js';
import { expectClose } from '../helpers/arrays.js';
import { plateJpeg, platePng, plateSize, scratchBox, writePlates } from '../helpers/plates.js';
import { regionBox } from '../helpers/regions.js';

const trainImages = 24;
const limits = { maxImageBytes: 1e6 };
const maxLoadedBundles = 2;

let folder: string;
let store: ObjectStore;
let compute: Compute;
let scorer: Scorer;
let bundle: Bundle;
let loaded: LoadedBundle;
const reports: FitProgress[] = [];

async function fitPlates(options: Partial<FitOptions> = {}): Promise<Bundle> {
  return fitBundle({
    images: await directoryImages(folder),
    product: 'plate',
    seed: 0,
    network: 'int8',
    activate: true,
    store,
    compute,
    maxImageBytes: limits.maxImageBytes,
    logger: pino({ level: 'silent' }),
    ...options,
  });
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'patchline-fit-'));
  await writePlates(folder, { train: trainImages, test: 8 });
  store = await openStore(join(folder, 'store'));
  compute = createCompute({ threads: 2 });
  scorer = createScorer(compute, { limits, maxLoadedBundles });
  bundle = await fitPlates({ network: 'auto', progress: (report) => reports.push(report) });
  loaded = await loadBundle(store, 'plate', 'v1');
});
afterAll(async () => {
  await compute.close();
  await rm(folder, { recursive: true });
});

const shasOf = ({ parts, subspace }: Bundle) => [
  ...partNames.map((name) => parts[name].sha256),
  ...subspacePartNames.map((name) => subspace?.parts[name].sha256),
];
const codesOf = ({ warnings }: Bundle) => warnings.map(({ code }) => code);
const failure = (code: string, ...texts: string[]) =>
  expect.objectContaining({ code, message: expect.stringMatching(new RegExp(texts.join('.*'), 's')) });

describe('fit', () => {
  test('describes what it learned and activates it', async () => {
    const grid = { height: 12, width: 18 };
    const patches = trainImages * 12 * 18;
    expect(bundle).toMatchObject({ version: 'v1', input: { height: 192, width: 288 }, aspect: 1.5, grid, patches });
    expect(bundle).toMatchObject({ images: trainImages, rows: patches, dims: 96, formats: ['jpeg'] });
    expect(bundle).toMatchObject({ profile: 'fast', score: 'fused', neighbourhood: 'inside', settings: { folds: 20 } });
    expect(bundle.layers).toEqual(['stride16', 'stride32']);
    expect(bundle.subspace).toMatchObject({ images: trainImages, dims: 96, rank: trainImages - 1 });
    expect(codesOf(bundle)).toEqual(['FEW_TRAINING_IMAGES']);
    expect(bundle.threshold).toBeCloseTo(bundle.median + 2 * bundle.spread, 9);
    expect(bundle.training.images[3]).toEqual({ name: 'train/good/003.jpg', ...plateSize });
    expect(bundle.network).toMatchObject(networks[bundle.network.kind]);
    if (process.arch === 'x64') expect(bundle.network.featureError).toBeGreaterThan(0);
    expect(await activeVersion(store, 'plate')).toBe('v1');
  });

  test('keeps the training images at model size', async () => {
    const picture = await store.get(trainingPictureKey(bundle, trainImages - 1));
    expect(await sharp(picture).metadata()).toMatchObject({ format: 'jpeg', height: 192, width: 288 });
  });

  test('reports its progress phase by phase to the end', () => {
    expect([...new Set(reports.map(({ phase }) => phase))]).toEqual([
      'reading',
      'features',
      'projection',
      'synthetic defects',
      'bank',
      'subspace',
      'classifier',
      'writing',
    ]);
    for (const { phase } of reports) {
      const ofPhase = reports.filter((report) => report.phase === phase);
      const steps = ofPhase.slice(1).map(({ done }, index) => done - ofPhase[index]!.done);
      expect(ofPhase[0]!.done).toBe(0);
      expect(Math.min(...steps)).toBeGreaterThan(0);
      if (phase !== 'bank') expect(Math.max(...steps)).toBe(1); // bank rows are counted a few times a second
      expect(ofPhase.at(-1)!.done).toBe(ofPhase[0]!.total);
    }
  });

  test.each([2, 1])('gives the same bytes again with %i threads', async (threads) => {
    const own = createCompute({ threads });
    const again = await fitPlates({ network: bundle.network.kind, compute: own });
    await own.close();
    expect(shasOf(again)).toEqual(shasOf(bundle));
    const { median, threshold, mapQuantile, subspace } = bundle;
    const { distanceScores, residualScores } = subspace!;
    expect(again).toMatchObject({ median, threshold, mapQuantile, subspace: { distanceScores, residualScores } });
    expectClose(await store.get(trainingPictureKey(again, 5)), await store.get(trainingPictureKey(bundle, 5)));
    expect(await activeVersion(store, 'plate')).toBe(again.version);
  });

  test('measures with other folds for another seed, and is not activated where that is not wished', async () => {
    const active = await activeVersion(store, 'plate');
    const other = await fitPlates({ seed: 1, score: 'position', activate: false });
    expect(await activeVersion(store, 'plate')).toBe(active);
    expect(other.version).not.toBe(active);
    expect(other.parts['held-out-distances'].sha256).not.toBe(bundle.parts['held-out-distances'].sha256);
  });

  test('takes images from a store as from a folder', async () => {
    const images = await openStore(folder);
    const names = (sources: TrainingSource[]) => sources.map(({ name }) => name);
    expect(names(await storeImages(images))).toEqual(names(await directoryImages(folder)));
    expect(names(await storeImages(images, 'train/good/'))).toEqual(
      Array.from({ length: trainImages }, (_, index) => `${String(index).padStart(3, '0')}.jpg`),
    );
    const [first] = await storeImages(images);
    expectClose(await first!.read(), await plateJpeg(0));
  });
});

describe('training images', () => {
  const sourcesOf = (bytes: Record<string, Uint8Array>): TrainingSource[] =>
    Object.entries(bytes).map(([name, content]) => ({ name, read: async () => content }));
  const plates = async (count: number) =>
    Object.fromEntries(
      await Promise.all(Array.from({ length: count }, async (_, index) => [`${index}.jpg`, await plateJpeg(index)])),
    );

  test('that cannot be read are named, and the rest is learned from', async () => {
    const good = await plates(19);
    const cut = good['0.jpg'].subarray(0, good['0.jpg'].length / 2); // the header is whole, the picture is not
    const text = new TextEncoder().encode('not an image');
    const few = await fitPlates({
      product: 'few',
      score: 'position',
      images: sourcesOf({ 'cut.jpg': cut, ...good, 'text.png': text }),
    });
    expect(few.images).toBe(19);
    expect(few.training.images.map(({ name }) => name)).toEqual(Object.keys(good));
    expect(codesOf(few)).toEqual(['FEW_TRAINING_IMAGES', 'TRAINING_IMAGES_SKIPPED']);
    const { message } = few.warnings[1]!;
    expect(message).toMatch(/2 of 21 images.*text\.png \(IMAGE_UNREADABLE.*cut\.jpg \(IMAGE_UNREADABLE/);
    const card = new TextDecoder().decode(await store.get(bundleCardKey('few', few.version)));
    expect(card).toContain(message);
    expect(card).toContain('no threshold can be trusted');
  });

  test('that cannot be read in great number are refused, and nothing is written', async () => {
    const text = new TextEncoder().encode('not an image');
    const images = sourcesOf({ ...(await plates(7)), 'a.jpg': text, 'b.jpg': text });
    await expect(fitPlates({ product: 'bad', images })).rejects.toEqual(
      failure('DATASET_INVALID', '2 of 9', 'a.jpg', 'b.jpg'),
    );
    expect(await listBundles(store, 'bad')).toEqual([]);
  });

  test('fewer than five are too few', async () => {
    const images = sourcesOf(await plates(4));
    await expect(fitPlates({ product: 'bad', images })).rejects.toEqual(failure('TOO_FEW_IMAGES', '5', '4'));
  });

  test('may come one after another', async () => {
    const bytes = await plates(5);
    async function* sources() {
      yield* sourcesOf(bytes);
    }
    const five = await fitPlates({ product: 'five', score: 'position', images: sources() });
    expect(five).toMatchObject({ images: 5, settings: { folds: 5 } });
    expect(five.warnings[0]!.message).toContain('fewer than 78');
  });

  test('that are all the same say so in every result', async () => {
    const bytes = await plateJpeg(0);
    const names = Array.from({ length: 6 }, (_, index) => `${index}.jpg`);
    const { version } = await fitPlates({
      product: 'same',
      images: sourcesOf(Object.fromEntries(names.map((name) => [name, bytes]))),
    });
    const { scored } = await scorer.score(await plateJpeg(1), await loadBundle(store, 'same', version));
    expect(scored.warnings.map(({ code }) => code)).toContain('TRAINING_IMAGES_ALIKE');
    expect([scored.severity, scored.anomalyScore].every(Number.isFinite)).toBe(true);
  });

  test('come from a flat folder too, and from nowhere else', async () => {
    const flat = join(folder, 'flat');
    await mkdir(join(flat, 'test/good'), { recursive: true });
    await mkdir(join(flat, 'ground_truth'), { recursive: true });
    for (const name of ['b.JPG', 'a.png', '.hidden.jpg', 'notes.txt', 'test/good/c.jpg', 'ground_truth/d.png']) {
      await writeFile(join(flat, name), '');
    }
    expect((await directoryImages(flat)).map(({ name }) => name)).toEqual(['a.png', 'b.JPG']);
    await expect(directoryImages(join(flat, 'test'))).rejects.toEqual(
      failure('DATASET_INVALID', 'train/good', 'flat/test'),
    );
    await expect(directoryImages(join(flat, 'none'))).rejects.toEqual(failure('DATASET_INVALID', 'flat/none'));
  });
});

describe('a profile', () => {
  test('accurate takes the float network, a larger input, bank and subspace', async () => {
    const accurate = await fitPlates({ product: 'accurate', profile: 'accurate', network: undefined });
    expect(accurate).toMatchObject({
      profile: 'accurate',
      score: 'fused',
      input: { height: 256, width: 384 },
      dims: 128,
    });
    expect(accurate.network).toMatchObject({ kind: 'float', featureError: null });
    expect(accurate.subspace).toMatchObject({ dims: 128 });
    const { verdicts } = await scoreAll(accurate);
    expect(verdicts).toEqual({ good: ['good', 'good'], scratched: ['anomalous', 'anomalous'] });
  });

  test('classic is plain: a tenth of the patches, all their numbers, plain distances', async () => {
    const classic = await fitPlates({ product: 'classic', profile: 'classic', network: undefined });
    expect(classic).toMatchObject({ profile: 'classic', score: 'top3', neighbourhood: 'padded', dims: 328 });
    expect(classic.rows).toBe(Math.ceil(classic.patches / 10));
    expect(classic.network.kind).toBe('float');
    expect(classic.subspace).toBeUndefined();
    const { scoring } = await loadBundle(store, 'classic', classic.version);
    expect(scoring.spacing).toEqual(shareFloats(new Float32Array(classic.rows).fill(1)));
    const { verdicts } = await scoreAll(classic);
    expect(verdicts).toEqual({ good: ['good', 'good'], scratched: ['anomalous', 'anomalous'] });
  });

  /** Verdicts and scores of plates that no fit has seen. */
  async function scoreAll({ product, version }: Bundle) {
    const bundle = await loadBundle(store, product, version);
    const scoreOf = async (seed: number, scratched: boolean) =>
      (await scorer.score(await plateJpeg(seed, { scratched }), bundle)).scored;
    const good = [await scoreOf(3001, false), await scoreOf(3002, false)];
    const scratched = [await scoreOf(3001, true), await scoreOf(3002, true)];
    const verdictsOf = (scored: Scored[]) => scored.map(({ verdict }) => verdict);
    const scores = [...good, ...scratched].map(({ anomalyScore }) => anomalyScore);
    return { verdicts: { good: verdictsOf(good), scratched: verdictsOf(scratched) }, scores };
  }

  test.each(['position', 'top3', 'max', 'reweighted'] as const)(
    'fast judges by the score %s where it is wished',
    async (score) => {
      const other = await fitPlates({ product: score, score });
      expect(other).toMatchObject({ profile: 'fast', score, dims: 96 });
      expect(other.subspace).toBeUndefined();
      const { verdicts, scores } = await scoreAll(other);
      expect(verdicts.scratched).toEqual(['anomalous', 'anomalous']);
      expect(Math.max(scores[0]!, scores[1]!)).toBeLessThan(Math.min(scores[2]!, scores[3]!));
    },
  );
});

test.each([10, 20, 50])(
  '%i good images give a bundle that can be used, and says what to expect of it',
  async (count) => {
    const images = Array.from({ length: count }, (_, index) => ({
      name: `${index}.jpg`,
      read: () => plateJpeg(index),
    }));
    const small = await fitPlates({ product: 'small', images });
    expect(small).toMatchObject({ images: count, settings: { folds: Math.min(20, count) } });
    const others = codesOf(small).filter((code) => code !== 'ODD_IMAGES'); // some plate may lie far out
    expect(others).toEqual(['FEW_TRAINING_IMAGES']);
    const { message } = small.warnings[0]!;
    const expected = { 10: 'about 78', 20: 'about 82', 50: 'about 86' }[count];
    expect(message).toContain(`in ${expected} where good parts lie differently`);
    expect(message.includes('no threshold can be trusted')).toBe(count < 20);
    const card = new TextDecoder().decode(await store.get(bundleCardKey('small', small.version)));
    expect(card).toContain(message);

    const loadedSmall = await loadBundle(store, 'small', small.version);
    const scoreOf = async (seed: number, scratched: boolean) =>
      (await scorer.score(await plateJpeg(seed, { scratched }), loadedSmall)).scored;
    const [good, scratched] = [await scoreOf(3001, false), await scoreOf(3001, true)];
    expect(scratched.verdict).toBe('anomalous');
    expect(good.anomalyScore).toBeLessThan(scratched.anomalyScore);
  },
);

describe('score', () => {
  test('finds a scratch where it is', async () => {
    const { scored } = await scorer.score(await plateJpeg(3000, { scratched: true }), loaded);
    scoredSchema.parse(scored);
    const [left, top, width, height] = scratchBox;
    const [x, y] = scored.location.peak;
    expect(scored.verdict).toBe('anomalous');
    expect(scored.severity).toBeGreaterThan(100);
    expect([x >= left - 5, x < left + width + 5, y >= top - 5, y < top + height + 5]).toEqual([true, true, true, true]);
    expect(scored.warnings).toEqual([]);
  });

  test('the box holds the region around the peak that no good image reaches', async () => {
    const { scored, anomalyMap } = await scorer.score(await plateJpeg(3000, { scratched: true }), loaded);
    expect(scored.location.box).toEqual(regionBox(anomalyMap, bundle.input, bundle.mapQuantile, plateSize));
    expect(scored.location.box[0]).toBeGreaterThan(60); // right of the hole
  });

  test('a training image lies in its own bank', async () => {
    const { scored } = await scorer.score(await plateJpeg(7), loaded);
    expect(scored.patchDistance.max).toBeLessThan(0.01);
    expect(scored.nearestNormal.trainingImage).toBe('bundles/plate/v1/training/7.jpg');
    expect(scored.nearestNormal.distance).toBeLessThan(1e-3);
    expect(scored.verdict).toBe('good');
  });

  test('names the nearest normal patch, and vectors of that place', async () => {
    const image = await scorer.score(await plateJpeg(3001, { scratched: true }), loaded);
    const { nearestNormal, patchDistance, vectors } = image.scored;
    const [x, y, width, height] = nearestNormal.box;
    expect([x % 16, y % 16, width, height]).toEqual([0, 0, 16, 16]);
    expect(await store.head(nearestNormal.trainingImage)).toBeDefined();
    expect(nearestNormal.distance).toBeLessThanOrEqual(patchDistance.max + 1e-4);
    expect(decodeFloat16(vectors.patch)).toHaveLength(328);
    expect(vectors.backbone).toBe(bundle.network.sha256);
    const embedding = decodeFloat16(vectors.embedding);
    const cells = image.features.length / 1280;
    const means = Float32Array.from({ length: 1280 }, (_, channel) =>
      image.features.subarray(channel * cells, (channel + 1) * cells).reduce((sum, value) => sum + value / cells, 0),
    );
    expectClose(embedding, means, { atol: 1e-3, rtol: 1e-3 }, 'embedding');
  });

  test('boxes are in pixels of the upright original', async () => {
    const upright = await sharp(await plateJpeg(3000, { scratched: true }))
      .resize(720, 480)
      .png()
      .toBuffer();
    const turned = await sharp(upright).rotate(90).withMetadata({ orientation: 8 }).png().toBuffer();
    const [first, second] = [await scorer.score(upright, loaded), await scorer.score(turned, loaded)];
    expect(second.scored.location.box).toEqual(first.scored.location.box);
    expectClose(second.scored.location.peak, first.scored.location.peak, { atol: 3 }); // a pixel of the model input, which is shrunk before it is turned
    const [left, top, width, height] = scratchBox.map((value) => 4 * value) as [number, number, number, number];
    const [x, y] = first.scored.location.peak;
    expect([x >= left - 20, x < left + width + 20, y >= top - 20, y < top + height + 20]).toEqual(Array(4).fill(true));
  });

  test('another format or shape is scored with a warning', async () => {
    const png = await scorer.score(await platePng(3), loaded);
    expect(png.scored.warnings.map(({ code }) => code)).toEqual(['FORMAT_MISMATCH']);
    const square = await sharp(await plateJpeg(3))
      .resize(180, 180, { fit: 'fill' })
      .jpeg()
      .toBuffer();
    const { scored } = await scorer.score(square, loaded);
    expect(scored.warnings.map(({ code }) => code)).toEqual(['IMAGE_ASPECT_MISMATCH']);
  });

  test('what is no image, or too large a file, is refused', async () => {
    const jpeg = await plateJpeg(3);
    const cut = jpeg.subarray(0, jpeg.length / 2);
    await expect(scorer.score(cut, loaded)).rejects.toEqual(failure('IMAGE_UNREADABLE'));
    const strict = createScorer(compute, { limits: { maxImageBytes: 100 }, maxLoadedBundles });
    await expect(strict.score(jpeg, loaded)).rejects.toEqual(failure('IMAGE_TOO_LARGE', '100'));
  });

  test('packs what the explaining stages read, and draws map and overlay', async () => {
    const image = await scorer.score(await plateJpeg(3000, { scratched: true }), loaded);
    const { input, features } = readNpz(await scorer.pack(image));
    expectClose(expectArray(input, 'input', 'uint8', [192, 288, 3]).data, image.pixels);
    expectClose(expectArray(features, 'features', 'float32', [1280, 6, 9]).data, image.features);

    const drawing = await scorer.draw(image, loaded);
    const map = expectArray(readNpy(drawing.anomalyMap), 'map', 'float32', [192, 288]);
    expectClose(map.data, image.anomalyMap);
    const { data, info } = await sharp(drawing.overlay).raw().toBuffer({ resolveWithObject: true });
    expect(info).toMatchObject({ height: 192, width: 288, channels: 3 });
    const [x, y] = [Math.round(1.6 * (scratchBox[0] + 20)), Math.round(1.6 * (scratchBox[1] + 3))];
    const [red, , blue] = data.subarray(3 * (y * 288 + x));
    expect(red! - blue!).toBeGreaterThan(50); // hot on the scratch
    const [coolRed, , coolBlue] = data.subarray(3 * (20 * 288 + 20));
    expect(coolBlue! - coolRed!).toBeGreaterThan(20);
  });

  test('scores are the same with several at once', async () => {
    const bytes = await plateJpeg(3002);
    const [first, ...others] = await Promise.all(Array.from({ length: 6 }, () => scorer.score(bytes, loaded)));
    for (const { scored, anomalyMap } of others) {
      expect({ ...scored, timings: {} }).toEqual({ ...first!.scored, timings: {} });
      expectClose(anomalyMap, first!.anomalyMap);
    }
  });
});

describe('evaluate', () => {
  const evaluate = async (directory = folder) =>
    (await evaluateBundle({ directory, bundle: loaded, scorer, compute })).evaluation;

  test('tells good from scratched plates', async () => {
    const progress: string[] = [];
    const report = ({ phase, done, total }: { phase: string; done: number; total: number }) =>
      progress.push(`${phase} ${done}/${total}`);
    const { evaluation } = await evaluateBundle({
      directory: folder,
      bundle: loaded,
      scorer,
      compute,
      progress: report,
    });
    expect(evaluation).toMatchObject({
      product: 'plate',
      bundle: 'v1',
      images: 16,
      imageAuroc: 1,
      f1Max: 1,
      skipped: [],
    });
    expect(evaluation.pixelAuroc).toBeGreaterThan(0.95);
    expect(evaluation.aupro).toBeGreaterThan(0.8);
    expect(evaluation).toMatchObject({ missRate: 0, threshold: bundle.threshold });
    const { pixelAuroc, missInterval } = evaluation; // there is no other kind
    const scratches = { images: 8, imageAuroc: 1, pixelAuroc, misses: 0, missRate: 0, missInterval };
    expect(evaluation.perDefect).toEqual({ scratch: scratches });
    expect(evaluation.confusion).toMatchObject({ defectsFound: 8, misses: 0 });
    expect(evaluation.confusion.goodPassed + evaluation.confusion.falseAlarms).toBe(8);
    expect(evaluation.warnings).toEqual([]);
    expect(evaluation.imagesPerSecond).toBeGreaterThan(0);
    expect(progress.slice(15, 17)).toEqual(['scoring 16/16', 'features 1/16']);
    expect(progress.at(-1)).toBe('features 16/16');
  });

  test('leaves out what cannot be had', async () => {
    const other = join(folder, 'other');
    await cp(join(folder, 'test/good'), join(other, 'test/good'), { recursive: true });
    const onlyGood = await evaluate(other);
    expect(onlyGood).toMatchObject({ images: 8, imageAuroc: null, pixelAuroc: null, aupro: null, f1Max: null });
    expect(onlyGood).toMatchObject({ missRate: null, perDefect: {} });
    expect(onlyGood.falseAlarmRate).toBeLessThan(1);

    await cp(join(folder, 'test/scratch'), join(other, 'test/scratch'), { recursive: true });
    await writeFile(join(other, 'test/scratch/broken.jpg'), 'not an image');
    const withoutMasks = await evaluate(other);
    expect(withoutMasks).toMatchObject({ images: 16, imageAuroc: 1, pixelAuroc: null, aupro: null });
    expect(withoutMasks.skipped).toMatchObject([{ name: 'test/scratch/broken.jpg', code: 'IMAGE_UNREADABLE' }]);
    const message = '1 of 17 images could not be read: test/scratch/broken.jpg (IMAGE_UNREADABLE)';
    expect(withoutMasks.warnings).toEqual([{ code: 'IMAGES_SKIPPED', message }]);
  });

  test('a folder without test images is refused', async () => {
    await expect(evaluate(join(folder, 'train'))).rejects.toEqual(failure('DATASET_INVALID', 'test/good'));
  });

  test('a folder whose images cannot be read is refused', async () => {
    const other = join(folder, 'unreadable');
    await mkdir(join(other, 'test/good'), { recursive: true });
    await writeFile(join(other, 'test/good/000.jpg'), 'not an image');
    await expect(evaluate(other)).rejects.toEqual(failure('DATASET_INVALID', 'test/good/000.jpg', 'IMAGE_UNREADABLE'));
  });

  test('images of another shape and masks that mark nothing are told once for all', async () => {
    const other = join(folder, 'mixed');
    await cp(join(folder, 'test/scratch'), join(other, 'test/scratch'), { recursive: true });
    await cp(join(folder, 'ground_truth'), join(other, 'ground_truth'), { recursive: true });
    const { height, width } = plateSize;
    const black = sharp({ create: { width, height, channels: 3, background: '#000' } }).png();
    await black.toFile(join(other, 'ground_truth/scratch/002_mask.png'));
    for (const name of ['a', 'b']) {
      await mkdir(join(other, 'test/good'), { recursive: true });
      await sharp(await plateJpeg(7))
        .resize(120, 120, { fit: 'fill' })
        .jpeg()
        .toFile(join(other, `test/good/${name}.jpg`));
    }
    const { warnings, images } = await evaluate(other);
    expect(images).toBe(10);
    expect(warnings.map(({ code }) => code).sort()).toEqual(['IMAGE_ASPECT_MISMATCH', 'MASK_EMPTY']);
    const aspect = warnings.find(({ code }) => code === 'IMAGE_ASPECT_MISMATCH')!;
    expect(aspect.message).toMatch(/2 of 10 images: test\/good\/a.jpg, test\/good\/b.jpg$/);
    expect(warnings.find(({ code }) => code === 'MASK_EMPTY')!.message).toMatch(
      /1 of 10 images: test\/scratch\/002.jpg$/,
    );
  });

  test('a mask that is no image is refused by name', async () => {
    const other = join(folder, 'masked');
    await cp(join(folder, 'test/scratch'), join(other, 'test/scratch'), { recursive: true });
    await mkdir(join(other, 'ground_truth/scratch'), { recursive: true });
    await writeFile(join(other, 'ground_truth/scratch/003.png'), 'not an image');
    await expect(evaluate(other)).rejects.toEqual(failure('DATASET_INVALID', 'scratch/003.png'));
  });
});
