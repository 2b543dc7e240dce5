import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type FitOptions, fitBundle } from '../../src/fit/fit.js';
import { type Compute, createCompute } from '../../src/shared/compute.js';
import type { Region } from '../../src/shared/kernels/region-mask.js';
import { type LoadedBundle, loadBundle } from '../../src/shared/loaded-bundle.js';
import { createLogger } from '../../src/shared/logger.js';
import { createScorer, type Scorer } from '../../src/shared/patchcore/scorer.js';
import type { ObjectStore } from '../../src/shared/store/object-store.js';
import { openStore } from '../../src/shared/store/open-store.js';
import { plateJpeg, plateSize, scratchBox } from '../helpers/plates.js';

// Bundles really fitted on plates: an inspected part, and a model input of several tiles.
const rectangle = (left: number, top: number, right: number, bottom: number): Region['roi'][number] => [
  [left, top],
  [right, top],
  [right, bottom],
  [left, bottom],
];
/** Around the hole; the scratch lies right of it. */
const left: Region = { roi: [rectangle(0, 0, 0.6, 1)], ignore: [] };

let folder: string;
let store: ObjectStore;
let compute: Compute;
let scorer: Scorer;
let whole: LoadedBundle;
let partly: LoadedBundle;

const trainingImages = Array.from({ length: 12 }, (_, seed) => ({
  name: `${seed}.jpg`,
  read: () => plateJpeg(seed),
}));

async function fitPlates(options: Partial<FitOptions>): Promise<LoadedBundle> {
  const own = { product: 'plate', seed: 0, network: 'int8' as const, activate: false, store, compute };
  const settings = { ...own, maxImageBytes: 1e6, logger: createLogger('silent'), images: trainingImages };
  return loadBundle(store, 'plate', (await fitBundle({ ...settings, ...options })).version);
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'patchline-regions-'));
  store = await openStore(folder);
  compute = createCompute({ threads: 2 });
  scorer = createScorer(compute, { limits: { maxImageBytes: 1e6 }, maxLoadedBundles: 4 });
  [whole, partly] = [await fitPlates({}), await fitPlates({ region: left })];
});
afterAll(async () => {
  await compute.close();
  await rm(folder, { recursive: true });
});

/** A plate with something painted over a part of it. */
async function painted(seed: number, [x, y, width, height]: readonly [number, number, number, number]) {
  const patch = await sharp({ create: { width, height, channels: 3, background: '#fff' } })
    .png()
    .toBuffer();
  return sharp(await plateJpeg(seed))
    .composite([{ input: patch, left: x, top: y }])
    .png()
    .toBuffer();
}
const plainPng = async (seed: number) =>
  sharp(await plateJpeg(seed))
    .png()
    .toBuffer();

test('what lies outside the region changes no number of the result', async () => {
  const [clean, hidden] = [await plainPng(50), await painted(50, [130, 20, 50, 60])];
  const [of, other] = [await scorer.score(clean, partly), await scorer.score(hidden, partly)];
  expect(other.scored.anomalyScore).toBe(of.scored.anomalyScore);
  expect(other.anomalyMap).toEqual(of.anomalyMap);
  expect(other.features).toEqual(of.features);
  expect(of.scored.verdict).toBe('good');
  expect(of.scored.warnings.map(({ code }) => code)).not.toContain('REGION_NOT_FITTED');
  expect((await scorer.score(hidden, whole)).scored.verdict).toBe('anomalous');
});

test('the map has its lowest value outside, and the peak lies inside', async () => {
  const { anomalyMap, height, width, scored } = await scorer.score(await painted(51, [130, 20, 50, 60]), partly);
  const outside = anomalyMap.filter((_, i) => ((i % width) + 0.5) / width > 0.6);
  expect(new Set(outside)).toEqual(new Set([anomalyMap.reduce((least, value) => Math.min(least, value))]));
  expect(outside.length).toBeGreaterThan(0.3 * height * width);
  expect(scored.location.peak[0]).toBeLessThan(0.6 * plateSize.width);
});

test('a defect inside is found', async () => {
  const { scored } = await scorer.score(await painted(52, [50, 85, 30, 20]), partly);
  expect(scored.verdict).toBe('anomalous');
  const [x, y] = scored.location.peak;
  expect(x).toBeGreaterThan(35);
  expect(x).toBeLessThan(95);
  expect(y).toBeGreaterThan(70);
});

test("the camera's region holds before the bundle's, and the result says that it was not fitted", async () => {
  const [x, y, width, height] = scratchBox;
  const around = [x - 12, y - 12, x + width + 12, y + height + 12] as const;
  const at = (value: number, index: number) => value / (index % 2 === 0 ? plateSize.width : plateSize.height);
  const [x0, y0, x1, y1] = around.map(at) as [number, number, number, number];
  const ignoring: Region = { roi: [], ignore: [rectangle(x0, y0, x1, y1)] };
  const scratched = await plateJpeg(60, { scratched: true });
  const { scored } = await scorer.score(scratched, whole);
  const ignored = await scorer.score(scratched, whole, ignoring);
  const box = (p: readonly [number, number]) =>
    p[0] > around[0] && p[0] < around[2] && p[1] > around[1] && p[1] < around[3];
  expect(box(scored.location.peak)).toBe(true);
  expect(box(ignored.scored.location.peak)).toBe(false);
  expect(ignored.scored.anomalyScore).toBeLessThan(scored.anomalyScore);
  expect(ignored.scored.warnings.map(({ code }) => code)).toContain('REGION_NOT_FITTED');
});

test('a region narrower than a patch is scored by the patches that it touches', async () => {
  const thread: Region = { roi: [rectangle(0.2, 0.5, 0.8, 0.52)], ignore: [] };
  const { scored } = await scorer.score(await plainPng(53), whole, thread);
  expect(Number.isFinite(scored.anomalyScore)).toBe(true);
});

test('tiles multiply the model input, and the map shows no seam between them', async () => {
  const tiled = await fitPlates({ tiles: { rows: 1, columns: 2 } });
  expect(tiled.bundle.tiles).toEqual({ rows: 1, columns: 2 });
  const { height, width } = tiled.bundle.input;
  expect(width % 64).toBe(0);
  expect(width / height).toBeGreaterThan(1.2);
  const { anomalyMap } = await scorer.score(await plateJpeg(61, { scratched: true }), tiled);
  const step = (column: number) => {
    const steps = Array.from({ length: height }, (_, y) => {
      const i = y * width + column;
      return Math.abs(anomalyMap[i]! - anomalyMap[i - 1]!);
    });
    return steps.reduce((sum, value) => sum + value) / height;
  };
  const elsewhere = Array.from({ length: width - 1 }, (_, column) => step(column + 1)).sort((a, b) => a - b);
  expect(step(width / 2)).toBeLessThan(elsewhere[Math.floor(0.95 * elsewhere.length)]!);
});
