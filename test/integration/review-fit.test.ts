import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { openSession, type Session } from '../../src/cli/command-line.js';
import { chooseImages, type ImageOptions } from '../../src/cli/fit-images.js';
import { storeOriginal } from '../../src/producer/originals.js';
import { confirmedImages } from '../../src/producer/reviewed-images.js';
import { simulatedImage } from '../../src/producer/simulated-camera.js';
import { bundleCardKey, bundleKey } from '../../src/shared/bundle.js';
import { type Compute, createCompute } from '../../src/shared/compute.js';
import type { ScoredResult } from '../../src/shared/contracts.js';
import { inspectionIdOf } from '../../src/shared/keys.js';
import { type LoadedBundle, loadBundle } from '../../src/shared/loaded-bundle.js';
import { createScorer } from '../../src/shared/patchcore/scorer.js';
import { type NewReview, writeReview } from '../../src/shared/reviews.js';
import { type ObjectStore, putJson } from '../../src/shared/store/object-store.js';
import { openStore } from '../../src/shared/store/open-store.js';
import { runCommand } from '../helpers/command-line.js';
import { createFittedStore, type FittedStore } from '../helpers/fitted-store.js';
import { putResults } from '../helpers/past-inspections.js';
import { scoredResult } from '../helpers/scored-result.js';

interface Part {
  bytes?: Uint8Array;
  day?: string;
  camera?: string;
  scored?: Partial<ScoredResult>;
}

/** Stores a part's image and its result, and gives the ids of both. */
async function inspected(store: ObjectStore, name: string, part: Part = {}, bundle = 'v1') {
  const { bytes = new TextEncoder().encode(name), day = '2026-01-31', camera = 'line-1', scored } = part;
  const capturedAt = `${day}T12:00:00.000Z`;
  const { imageKey } = await storeOriginal(store, { camera, bytes, fileName: `${name}.jpg`, capturedAt }, false);
  const inspectionId = inspectionIdOf(imageKey, 'plate', bundle, capturedAt);
  await putResults(store, [{ ...scoredResult, ...scored, bundle, camera, imageKey, capturedAt, inspectionId }]);
  return { imageKey, inspectionId };
}

const good: NewReview = { verdict: 'good', by: 'anna' };
const pit: NewReview = { verdict: 'anomalous', by: 'anna', defectType: 'pit' };
const verdictGood = { scored: { verdict: 'good' as const } };

describe('what people have reviewed', () => {
  let session: Session;
  let store: ObjectStore;
  let folder: string;
  let said = '';
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'patchline-reviewed-'));
    session = await openSession({ store: folder });
    ({ store } = session);
    for (const version of ['v1', 'v2']) await putJson(store, bundleKey('plate', version), {});
    said = '';
    vi.spyOn(process.stderr, 'write').mockImplementation((text) => {
      said += text;
      return true;
    });
  });
  afterEach(async () => {
    vi.restoreAllMocks();
    await rm(folder, { recursive: true, force: true });
  });

  const choose = async (options: ImageOptions) => {
    const { images, defects } = await chooseImages(undefined, { product: 'plate', ...options }, session);
    return { images: images.map(({ name }) => name), defects: defects.map(({ name }) => name) };
  };

  test('stands above verdicts where a fit takes the originals of a camera', async () => {
    const alarm = await inspected(store, 'false alarm');
    const missed = await inspected(store, 'missed', verdictGood);
    const found = await inspected(store, 'found');
    await inspected(store, 'not reviewed');
    const plain = await inspected(store, 'plain', verdictGood);
    await writeReview(store, alarm.inspectionId, good);
    await writeReview(store, missed.inspectionId, pit);
    await writeReview(store, found.inspectionId, { verdict: 'anomalous', by: 'anna' });
    const chosen = await choose({ camera: 'line-1' });
    expect(chosen.images.sort()).toEqual([alarm.imageKey, plain.imageKey].sort());
    expect(chosen.defects.sort()).toEqual([missed.imageKey, found.imageKey].sort());
    expect(said).toBe(
      '2 originals of line-1, 1 of them reviewed good; 1 left out because they were judged anomalous, 2 because they were reviewed anomalous\n' +
        'labelled images of defects, from those reviewed anomalous: 1 pit, 1 of no named type\n',
    );
  });

  test('is what is added without a folder: of the product or one camera, from day to day, each image once', async () => {
    const first = await inspected(store, 'first', { day: '2026-01-30' });
    const second = await inspected(store, 'second', { camera: 'line-2' });
    const third = await inspected(store, 'third', { day: '2026-02-01' });
    const notReviewed = await inspected(store, 'not reviewed', verdictGood);
    for (const { inspectionId } of [first, second]) await writeReview(store, inspectionId, good);
    await writeReview(store, third.inspectionId, pit);
    const keys = [first.imageKey, second.imageKey].sort();
    expect(await choose({ add: true })).toEqual({ images: keys, defects: [third.imageKey] });
    expect(await choose({ add: true, camera: 'line-2' })).toEqual({ images: [second.imageKey], defects: [] });
    expect(await choose({ add: true, from: '2026-01-31', to: '2026-01-31' })).toEqual({
      images: [second.imageKey],
      defects: [],
    });
    await expect(choose({ add: true, from: '2026-02-01' })).rejects.toMatchObject({ code: 'TOO_FEW_IMAGES' });
    await expect(choose({ add: true, product: 'other' })).rejects.toMatchObject({ code: 'TOO_FEW_IMAGES' });

    const byV2 = await inspected(store, 'first', { day: '2026-01-30' }, 'v2');
    expect(byV2.imageKey).toBe(first.imageKey);
    vi.useFakeTimers({ now: Date.now() + 1000, toFake: ['Date'] });
    await writeReview(store, byV2.inspectionId, pit);
    vi.useRealTimers();
    expect(await choose({ add: true })).toEqual({
      images: [second.imageKey],
      defects: [first.imageKey, third.imageKey].sort(),
    });
    expect((await choose({ camera: 'line-1' })).images).toEqual([notReviewed.imageKey]);
  });

  test('is no longer learned from where the original is gone, or the result', async () => {
    const [kept, gone, forgotten] = [
      await inspected(store, 'kept'),
      await inspected(store, 'gone'),
      await inspected(store, 'forgotten'),
    ];
    for (const { inspectionId } of [kept, gone, forgotten]) await writeReview(store, inspectionId, good);
    await store.delete(gone.imageKey);
    await store.delete(`inspections/2026-01-31/${forgotten.inspectionId}/result.json`);
    const { images, ...rest } = await confirmedImages(store, { product: 'plate' });
    expect(images.map(({ name }) => name)).toEqual([kept.imageKey]);
    expect(rest).toEqual({ defects: [], gone: 1 });
  });
});

describe('a bundle that has learned from reviews', () => {
  let fitted: FittedStore;
  let store: ObjectStore;
  let compute: Compute;
  beforeAll(async () => {
    fitted = await createFittedStore(1, 1);
    store = await openStore(fitted.storeUrl);
    compute = createCompute({ threads: 2 });
  });
  afterAll(async () => {
    await compute.close();
    await fitted.remove();
  });

  const turned = async (index: number) =>
    sharp((await simulatedImage(7, index, null)).bytes)
      .flop()
      .jpeg({ quality: 92 })
      .toBuffer();

  test('no longer flags what was confirmed as good, and knows the defects', async () => {
    const scorer = createScorer(compute, { limits: { maxImageBytes: 1e7 }, maxLoadedBundles: 2 });
    const scoreBy = async (bundle: LoadedBundle, bytes: Uint8Array) => (await scorer.score(bytes, bundle)).scored;
    const before = await loadBundle(store, 'plate', 'v1');
    for (let index = 0; index < 10; index++) {
      const bytes = await turned(index);
      const { patchDistance: _, ...scored } = await scoreBy(before, bytes);
      const { inspectionId } = await inspected(store, `turned-${index}`, { bytes, scored });
      await writeReview(store, inspectionId, good);
    }
    for (let index = 0; index < 5; index++) {
      const { bytes } = await simulatedImage(7, 100 + index, 'scratch');
      const { inspectionId } = await inspected(store, `scratched-${index}`, { bytes });
      await writeReview(store, inspectionId, { ...pit, defectType: 'scratch' });
    }
    const args = ['fit', '--add', '--product', 'plate', '--store', fitted.storeUrl];
    const { code, stdout, stderr } = await runCommand(args);
    expect(code, stderr).toBe(0);
    expect(stderr).toContain('10 images of product plate reviewed good\n');
    expect(stderr).toContain('from those reviewed anomalous: 5 scratch\n');
    expect(stdout).toContain('From 5 labelled images of defects, judged by models that had not seen them');
    expect(stdout).toBe(await readFile(join(fitted.storeUrl, bundleCardKey('plate', 'v2')), 'utf8'));

    const after = await loadBundle(store, 'plate', 'v2');
    for (const bytes of [await turned(3), await turned(50)]) {
      expect((await scoreBy(before, bytes)).verdict).toBe('anomalous');
      expect((await scoreBy(after, bytes)).verdict).toBe('good');
    }
    const again = await runCommand(args);
    expect(again).toMatchObject({ code: 1, stderr: expect.stringContaining('10 are in it already') });
  });
});
