import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Tensor } from 'onnxruntime-node';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Compute, createCompute } from '../../src/shared/compute.js';
import { decodeFloat16 } from '../../src/shared/float16.js';
import { upsampleMap } from '../../src/shared/kernels/anomaly-map.js';
import { reweightedScore } from '../../src/shared/kernels/image-score.js';
import { type LoadedBundle, loadBundle } from '../../src/shared/loaded-bundle.js';
import { createSession } from '../../src/shared/onnx/session.js';
import { createScorer, type Scorer } from '../../src/shared/patchcore/scorer.js';
import { openStore } from '../../src/shared/store/open-store.js';
import { expectClose } from '../helpers/arrays.js';
import {
  type MadeUpChanges,
  madeUp,
  madeUpArrays,
  madeUpFusedDraft,
  madeUpSubspaceArrays,
  writeMadeUpBundle,
} from '../helpers/bundle.js';
import { platePng, plateSize } from '../helpers/plates.js';
import { regionBox } from '../helpers/regions.js';

// Bundles of made-up numbers: what is asked here is whether they are put to use as they should be.
const { dims, positions } = madeUp;
const arrays = madeUpArrays();
const floats = (name: keyof typeof arrays) => arrays[name].data as Float32Array;
const limits = { maxImageBytes: 1e6 };
const maxLoadedBundles = 2;

let folder: string;
let compute: Compute;
let scorer: Scorer;
let load: (changes?: MadeUpChanges) => Promise<LoadedBundle>;
let plain: LoadedBundle;
/** Everything is anomalous, no map reaches the quantile, and one patch alone exceeds what is usual. */
let strict: LoadedBundle;
/** The same parts at another input. */
let tall: LoadedBundle;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'patchline-scorer-'));
  const store = await openStore(folder);
  load = async (changes) => loadBundle(store, 'plate', (await writeMadeUpBundle(store, changes)).version);
  plain = await load();
  const means = new Float32Array(positions).fill(4).fill(-10, 14, 15);
  strict = await load({
    draft: { threshold: -50, mapQuantile: 1e6 },
    arrays: { 'position-means': { dtype: 'float32', shape: [positions], data: means } },
  });
  tall = await load({ draft: { input: { height: 96, width: 64 }, grid: { height: 6, width: 4 }, aspect: null } });
  compute = createCompute({ threads: 1 });
  scorer = createScorer(compute, { limits, maxLoadedBundles });
});
afterAll(async () => {
  await compute.close();
  await rm(folder, { recursive: true });
});

test('the nearest normal patch is that of the nearest row in spaced distance', async () => {
  const { scored } = await scorer.score(await platePng(1), plain);
  const raw = decodeFloat16(scored.vectors.patch);
  const [matrix, bias, bank] = [floats('projection-matrix'), floats('projection-bias'), floats('bank')];
  const y = Array.from(bias, (offset, k) => raw.reduce((sum, value, c) => sum + value * matrix[c * dims + k]!, offset));
  const distances = Array.from(floats('spacing'), (r, row) => {
    const squares = y.map((value, k) => (value - bank[row * dims + k]!) ** 2);
    return Math.sqrt(squares.reduce((sum, square) => sum + square) / r);
  });
  const least = Math.min(...distances);
  const source = (arrays.sources.data as Int32Array)[distances.indexOf(least)]!;
  const [image, patch] = [Math.floor(source / positions), source % positions];
  expectClose([scored.nearestNormal.distance], [least], { rtol: 1e-3 });
  expect(scored.nearestNormal.trainingImage).toBe(`bundles/plate/v1/training/${image}.jpg`);
  expect(scored.nearestNormal.box).toEqual([16 * (patch % 6), 16 * Math.floor(patch / 6), 16, 16]);
});

test('verdict and severity follow from median and threshold', async () => {
  const bytes = await platePng(1);
  const [{ scored: first }, { scored: second }] = [await scorer.score(bytes, plain), await scorer.score(bytes, strict)];
  const { anomalyScore } = first;
  expect(first).toMatchObject({ threshold: 2, verdict: anomalyScore >= 2 ? 'anomalous' : 'good' });
  expect(first.severity).toBeCloseTo(100 * (anomalyScore - 1), 6);
  expect(second).toMatchObject({ threshold: -50, verdict: 'anomalous' });
});

/** What the graph of a bundle says of an image. */
async function runGraph({ scoring }: LoadedBundle, pixels: Uint8Array): Promise<Record<string, Float32Array>> {
  const session = await createSession(scoring.model.bytes.slice());
  const { height, width } = scoring.input;
  const results = await session.run({ pixels: new Tensor('uint8', pixels, [height, width, 3]) });
  return Object.fromEntries(Object.entries(results).map(([name, { data }]) => [name, data as Float32Array]));
}

const largestZ = (values: Float32Array, means: Float32Array, scales: Float32Array) =>
  Math.max(...values.map((value, p) => (value - means[p]!) / scales[p]!)); // 3 % of 24 patches are one

test('fused joins distances and residual distances, each by what is usual of it', async () => {
  const fused = await load({ draft: madeUpFusedDraft, subspaceArrays: madeUpSubspaceArrays() });
  const { scored, pixels } = await scorer.score(await platePng(1), fused);
  const { distances, residualDistances } = await runGraph(fused, pixels);
  const subspace = madeUpSubspaceArrays();
  const ofSubspace = (name: keyof typeof subspace) => subspace[name].data as Float32Array;
  const ofDistances = (largestZ(distances!, floats('position-means'), floats('position-scales')) - 50) / 20;
  const usual = [ofSubspace('residual-position-means'), ofSubspace('residual-position-scales')] as const;
  const ofResiduals = (largestZ(residualDistances!, ...usual) - 1) / 0.5;
  expect(Math.min(ofDistances, ofResiduals)).toBeGreaterThan(0);
  expectClose([scored.anomalyScore], [Math.hypot(ofDistances, ofResiduals)], { rtol: 1e-4 });
  const { scored: again } = await scorer.score(await platePng(1), plain);
  expect(scored.nearestNormal.box).toEqual(again.nearestNormal.box);
});

test('a plain score goes by plain distances, and so does its map', async () => {
  const bytes = await platePng(1);
  for (const score of ['max', 'top3', 'reweighted'] as const) {
    const bundle = await load({ draft: { score } });
    const { scored, pixels, anomalyMap } = await scorer.score(bytes, bundle);
    const { distances, projected } = await runGraph(bundle, pixels);
    expectClose(anomalyMap, upsampleMap(distances!, 4, 6, 64, 96, 4), { atol: 1e-4 }, `map of ${score}`);
    const largest = Math.max(...distances!);
    const patch = projected!.slice(dims * distances!.indexOf(largest), dims * (distances!.indexOf(largest) + 1));
    const expected = score === 'reweighted' ? reweightedScore(patch, floats('bank'), dims, 9).score : largest;
    expectClose([scored.anomalyScore], [expected], { rtol: 1e-6 }, score);
  }
});

test('a peak below the quantile is boxed at half its height', async () => {
  const { scored, anomalyMap } = await scorer.score(await platePng(1), strict);
  const boxAt = (share: number) =>
    regionBox(anomalyMap, strict.bundle.input, share * Math.max(...anomalyMap), plateSize);
  expect(scored.location.box).toEqual(boxAt(1 / 2));
  expect(boxAt(1 / 2)).not.toEqual(boxAt(1 / 3));
});

test('a thread takes turns between more bundles than it can keep, alike as they are', async () => {
  const bytes = await platePng(2);
  const rounds: number[][] = [];
  for (let round = 0; round < 3; round++) {
    const images = [];
    for (const bundle of [plain, strict, tall]) images.push(await scorer.score(bytes, bundle));
    expect(images.map(({ height, width, anomalyMap }) => [height, width, anomalyMap.length])).toEqual([
      [64, 96, 6144],
      [64, 96, 6144],
      [96, 64, 6144],
    ]);
    rounds.push(images.map(({ scored }) => scored.anomalyScore));
  }
  expect(rounds).toEqual([rounds[0], rounds[0], rounds[0]]);
});
