import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { riskOf } from '../../src/fit/bundle-draft.js';
import type { BundleDraft } from '../../src/fit/bundle-writer.js';
import { learnRisk } from '../../src/fit/risk-model.js';
import { activateBundle, activeVersion } from '../../src/shared/active-bundle.js';
import {
  type Bundle,
  bundleCardKey,
  bundleKey,
  claimVersion,
  listBundles,
  listProducts,
  partNames,
  readBundle,
  type SubspacePartName,
  subspacePartNames,
  trainingPictureKey,
} from '../../src/shared/bundle.js';
import { createCompute } from '../../src/shared/compute.js';
import type { Scored } from '../../src/shared/contracts.js';
import { createRandom } from '../../src/shared/kernels/random.js';
import { createBundleCache, loadBundle } from '../../src/shared/loaded-bundle.js';
import { networks } from '../../src/shared/networks.js';
import { writeNpy } from '../../src/shared/npy.js';
import { createScorer } from '../../src/shared/patchcore/scorer.js';
import { getJson, type ObjectStore, putJson } from '../../src/shared/store/object-store.js';
import { openStore } from '../../src/shared/store/open-store.js';
import { expectClose } from '../helpers/arrays.js';
import { madeUpArrays, madeUpFusedDraft, madeUpSubspaceArrays, writeMadeUpBundle } from '../helpers/bundle.js';
import { platePng } from '../helpers/plates.js';

let root: string;
let store: ObjectStore;
let bundle: Bundle;
let count = 0;

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'patchline-bundle-'));
});
afterAll(() => rm(root, { recursive: true }));
beforeEach(async () => {
  store = await openStore(join(root, `${count++}`));
  bundle = await writeMadeUpBundle(store);
});

const failure = (code: string, ...texts: string[]) =>
  expect.objectContaining({ code, message: expect.stringMatching(new RegExp(texts.join('.*'), 's')) });
const load = () => loadBundle(store, 'plate', 'v1');
/** The error of a load; a loaded bundle itself would take long to print. */
const refusal = (loading: Promise<unknown>) =>
  loading.then(
    () => 'it was loaded',
    (error: unknown) => error,
  );

test('a bundle is loaded as it was written', async () => {
  const loaded = await load();
  const arrays = madeUpArrays();
  expect(loaded.bundle).toEqual(bundle);
  expectClose(loaded.scoring.rows, arrays.bank.data as Float32Array);
  expectClose(loaded.scoring.spacing, arrays.spacing.data as Float32Array);
  expectClose(loaded.scoring.position.means, arrays['position-means'].data as Float32Array);
  expectClose(loaded.scoring.position.scales, arrays['position-scales'].data as Float32Array);
  expectClose(loaded.sources, arrays.sources.data as Int32Array);
  expectClose(loaded.heldOutDistances, arrays['held-out-distances'].data as Float32Array);
  expectClose(loaded.classifier.weights, arrays['classifier-weights'].data as Float32Array);
  expect(loaded.classifier).toMatchObject({ bias: -0.5, weak: true });
  expectClose(loaded.risk.background, arrays['risk-background'].data as Float64Array);
  expect(loaded.risk.model).toEqual(loadedRegression);
  expect(loaded.risk.usual).toEqual(bundle.risk.usual);
  expect(loaded.classifier.weights.buffer).toBeInstanceOf(SharedArrayBuffer);
  expect(loaded.scoring.rows.buffer).toBeInstanceOf(SharedArrayBuffer);
  expectClose(await store.get(trainingPictureKey(bundle, 3)), [3]);
});

/** The risk model of the made-up bundle. */
const loadedRegression = {
  kind: 'logistic',
  weights: Float64Array.of(1, 2, 0, -0.5, 0.25),
  bias: 0.5,
  means: Float64Array.of(0.8, 1.2, 0.01, 0.06, 0.94),
  scales: Float64Array.of(0.1, 0.3, 0.01, 0.05, 0.03),
};

const forestRisk = {
  ...{ kind: 'forest' as const, auroc: 0.93, usual: [0.7, 1, 0.01, 0.05, 0.95], background: 3 },
  comparison: { divisions: 10, logistic: { auroc: 0.6, spread: 0.02 }, forest: { auroc: 0.93, spread: 0.01 } },
  trees: [
    { features: [1, 0, 1], thresholds: [1.5, 0.9, 2], leaves: [-0.2, -0.1, 0.1, 0.3] },
    { features: [4, 4, 1], thresholds: [0.9, 0.8, 1], leaves: [0.2, 0.1, -0.1, -0.3] },
  ],
};

describe('the risk model', () => {
  test('may be a forest, and the card says why', async () => {
    const { version } = await writeMadeUpBundle(store, { draft: { risk: forestRisk } });
    const { bundle, risk } = await loadBundle(store, 'plate', version);
    expect(bundle.risk).toEqual(forestRisk);
    expect(risk.model).toEqual({
      kind: 'forest',
      features: Int32Array.of(1, 0, 1, 4, 4, 1),
      thresholds: Float64Array.of(1.5, 0.9, 2, 0.9, 0.8, 1),
      leaves: Float64Array.of(-0.2, -0.1, 0.1, 0.3, 0.2, 0.1, -0.1, -0.3),
    });
    const card = new TextDecoder().decode(await store.get(bundleCardKey('plate', version)));
    expect(card).toContain('2 boosted trees of depth 2 instead of a logistic regression');
    expect(card).toMatch(/regression has AUROC 0.600 \(spread 0.020\), boosted trees AUROC 0.930 \(spread 0.010\)/);
    expect(card).toContain('mean_patch_distance 1, max_patch_distance 3, depth_variance 0,');
  });

  test('is loaded as it was learned', async () => {
    const random = createRandom(6);
    const features = Float64Array.from({ length: 5 * 200 }, random.uniform);
    const labels = Uint8Array.from({ length: 200 }, (_, i) =>
      Number(features[5 * i]! > 0.5 !== features[5 * i + 2]! > 0.5),
    );
    const learned = learnRisk({ features, labels, groups: Int32Array.from(labels.keys()) }, 1);
    const { version } = await writeMadeUpBundle(store, { draft: { risk: { ...riskOf(learned), background: 3 } } });
    const { bundle, risk } = await loadBundle(store, 'plate', version);
    expect(learned.model.kind).toBe('forest');
    expect(risk.model).toEqual(learned.model);
    expect(bundle.risk).toMatchObject({ auroc: learned.comparison.forest.auroc, comparison: learned.comparison });
  });

  test('is a logistic regression where bundle.json names no kind', async () => {
    const key = bundleKey('plate', 'v1');
    const stored = (await getJson(store, key)) as Bundle;
    const { kind, ...unnamed } = stored.risk;
    expect(kind).toBe('logistic');
    await putJson(store, key, { ...stored, risk: unnamed });
    expect((await load()).risk.model).toEqual(loadedRegression);
  });

  test.each([
    ['a kind that is none', { ...forestRisk, kind: 'oracle' }, 'kind'],
    ['more than 50 trees', { ...forestRisk, trees: Array(51).fill(forestRisk.trees[0]) }, 'trees'],
    ['a feature that is none', { ...forestRisk, trees: [{ ...forestRisk.trees[0], features: [0, 5, 1] }] }, 'features'],
  ])('is refused with %s', async (_, risk, named) => {
    const key = bundleKey('plate', 'v1');
    await putJson(store, key, { ...((await getJson(store, key)) as Bundle), risk });
    expect(await refusal(load())).toEqual(failure('BUNDLE_DAMAGED', 'bundle.json', `risk.*${named}`));
  });
});

test('its card says what it saw and how it judges', async () => {
  const card = new TextDecoder().decode(await store.get(bundleCardKey('plate', 'v1')));
  expect(card).toContain('Product plate, bundle v1');
  expect(card).toContain('5 good images (png), 150 x 100 pixels');
  expect(card).toContain('anomalous from a score of 2.000 on');
  expect(card).toMatch(/Warnings\n {2}none/);
});

test('its card says how well defects are told apart, and in plain words where they are not', async () => {
  const cardOf = async (draft: Partial<BundleDraft>) => {
    const { version } = await writeMadeUpBundle(store, { draft });
    return new TextDecoder().decode(await store.get(bundleCardKey('plate', version)));
  };
  const { classifier, risk } = bundle;
  const weak = await cardOf({ risk: { ...risk, auroc: 0.55 } });
  expect(weak).toContain('From 100 defects made up on good images');
  expect(weak).toMatch(/Classifier of the whole image: AUROC 0.750\n {2}Weak: what the network sees .* hardly tells/);
  expect(weak).toMatch(/Risk by the five readable features: AUROC 0.550\n {2}Weak: what the features say hardly tells/);
  expect(weak).toContain('mean_patch_distance 1.00, max_patch_distance 2.00, depth_variance 0.00');
  const strong = await cardOf({
    classifier: { ...classifier, auroc: 0.97, weak: false, defects: 'labelled', count: 31 },
  });
  expect(strong).toContain('From 31 labelled images of defects');
  expect(strong).not.toContain('Weak');
});

describe('a damaged bundle is refused', () => {
  test.each(partNames)('%s missing', async (name) => {
    await store.delete(bundle.parts[name].key);
    expect(await refusal(load())).toEqual(failure('BUNDLE_DAMAGED', name, bundle.parts[name].key, 'no such object'));
  });

  test.each(partNames)('%s cut short', async (name) => {
    const { key } = bundle.parts[name];
    const bytes = await store.get(key);
    await store.put(key, bytes.subarray(0, bytes.length - 4));
    expect(await refusal(load())).toEqual(failure('BUNDLE_DAMAGED', name, key, 'sha256'));
  });

  test.each(partNames)('%s with one bit turned', async (name) => {
    const { key } = bundle.parts[name];
    const bytes = Uint8Array.from(await store.get(key));
    bytes[bytes.length - 1]! ^= 1;
    await store.put(key, bytes);
    expect(await refusal(load())).toEqual(failure('BUNDLE_DAMAGED', name, key, 'sha256'));
  });

  test.each([Number.NaN, Number.POSITIVE_INFINITY])('%f in the bank, whatever the sha256', async (value) => {
    const { bank } = madeUpArrays();
    bank.data[17] = value;
    const { version } = await writeMadeUpBundle(store, { arrays: { bank } });
    expect(await refusal(loadBundle(store, 'plate', version))).toEqual(failure('BUNDLE_DAMAGED', 'bank', 'not finite'));
  });

  test.each(['classifier-weights', 'risk-background'] as const)('a value of %s that is no number', async (name) => {
    const array = madeUpArrays()[name];
    array.data[3] = Number.NaN;
    const { version } = await writeMadeUpBundle(store, { arrays: { [name]: array } });
    expect(await refusal(loadBundle(store, 'plate', version))).toEqual(failure('BUNDLE_DAMAGED', name, 'not finite'));
  });

  test('a part of another shape, whatever the sha256', async () => {
    const { spacing } = madeUpArrays();
    const shorter = { ...spacing, shape: [29], data: (spacing.data as Float32Array).subarray(0, 29) };
    const { version } = await writeMadeUpBundle(store, { arrays: { spacing: shorter as typeof spacing } });
    expect(await refusal(loadBundle(store, 'plate', version))).toEqual(
      failure('BUNDLE_DAMAGED', 'spacing', '\\(30\\).*\\(29\\)'),
    );
  });

  test('bundle.json that is no JSON, or lacks a field', async () => {
    await store.put(bundleKey('plate', 'v1'), new TextEncoder().encode('{"schema": 1,'));
    expect(await refusal(load())).toEqual(failure('BUNDLE_DAMAGED', 'bundle.json'));
    await putJson(store, bundleKey('plate', 'v1'), { ...bundle, threshold: undefined });
    expect(await refusal(load())).toEqual(failure('BUNDLE_DAMAGED', 'bundle.json', 'threshold'));
  });

  test('a part that bundle.json does not name', async () => {
    const { bank: _, ...others } = bundle.parts;
    await putJson(store, bundleKey('plate', 'v1'), { ...bundle, parts: others });
    expect(await refusal(load())).toEqual(failure('BUNDLE_DAMAGED', 'bank'));
  });
});

describe('the second term', () => {
  let fused: Bundle;
  const arrays = madeUpSubspaceArrays();
  const writeFused = (changed: Partial<typeof arrays> = {}) =>
    writeMadeUpBundle(store, { draft: madeUpFusedDraft, subspaceArrays: { ...arrays, ...changed } });
  const partOf = (name: SubspacePartName) => fused.subspace!.parts[name];
  const loadFused = () => loadBundle(store, 'plate', fused.version);
  beforeEach(async () => {
    fused = await writeFused();
  });

  test('is loaded as it was written', async () => {
    const { bundle: read, scoring, heldOutResiduals } = await loadFused();
    expect(read).toEqual(fused);
    const floats = (name: SubspacePartName) => arrays[name].data as Float32Array;
    const { position, distanceScores, residualScores } = scoring.fusion!;
    expectClose(position.means, floats('residual-position-means'));
    expectClose(position.scales, floats('residual-position-scales'));
    expect([distanceScores, residualScores]).toEqual([
      { median: 50, spread: 20 },
      { median: 1, spread: 0.5 },
    ]);
    expectClose(heldOutResiduals!, floats('held-out-residuals'));
    expect(position.means.buffer).toBeInstanceOf(SharedArrayBuffer);
  });

  test.each(subspacePartNames)('%s missing, cut short or with one bit turned is refused', async (name) => {
    const { key } = partOf(name);
    const bytes = await store.get(key);
    await store.delete(key);
    expect(await refusal(loadFused())).toEqual(failure('BUNDLE_DAMAGED', name, key, 'no such object'));
    await store.put(key, bytes.subarray(0, bytes.length - 4));
    expect(await refusal(loadFused())).toEqual(failure('BUNDLE_DAMAGED', name, key, 'sha256'));
    const turned = Uint8Array.from(bytes);
    turned[turned.length - 1]! ^= 1;
    await store.put(key, turned);
    expect(await refusal(loadFused())).toEqual(failure('BUNDLE_DAMAGED', name, key, 'sha256'));
  });

  test.each(subspacePartNames)('%s of another shape is refused, whatever the sha256', async (name) => {
    const { dtype, shape, data } = arrays[name];
    const longer = { dtype, shape: [...shape, 1], data } as (typeof arrays)[typeof name];
    const { version } = await writeFused({ [name]: longer });
    expect(await refusal(loadBundle(store, 'plate', version))).toEqual(failure('BUNDLE_DAMAGED', name, 'shape'));
  });

  test.each(subspacePartNames.filter((name) => name !== 'subspace-components'))(
    'a value of %s that is no number is refused',
    async (name) => {
      const array = madeUpSubspaceArrays()[name];
      array.data[2] = Number.NaN;
      const { version } = await writeFused({ [name]: array });
      expect(await refusal(loadBundle(store, 'plate', version))).toEqual(failure('BUNDLE_DAMAGED', name, 'not finite'));
    },
  );

  test('is there with the score fused, and with no other', async () => {
    const key = bundleKey('plate', fused.version);
    for (const wrong of [
      { ...fused, subspace: undefined },
      { ...fused, score: 'position' },
    ]) {
      await putJson(store, key, wrong);
      expect(await refusal(loadFused())).toEqual(failure('BUNDLE_DAMAGED', 'bundle.json', 'subspace'));
    }
  });

  test('written again gives the same bytes', async () => {
    const again = await writeFused();
    for (const name of subspacePartNames) expect(again.subspace!.parts[name].sha256).toBe(partOf(name).sha256);
  });
});

describe('a bundle of schema 1', () => {
  const folder = 'test/fixtures/bundle-schema-1';
  beforeEach(async () => {
    for (const name of await readdir(join(folder, 'v1'))) {
      await store.put(`bundles/plate/v1/${name}`, await readFile(join(folder, 'v1', name)));
    }
  });

  test('is read as one of profile fast and score position', async () => {
    const old = await readBundle(store, 'plate', 'v1');
    expect(old).toEqual({ ...bundle, createdAt: old.createdAt });
    expect(old).toMatchObject({ schema: 2, layers: ['stride16', 'stride32'], neighbourhood: 'inside' });
  });

  test('scores an image as it always did', async () => {
    const compute = createCompute({ threads: 1 });
    const scorer = createScorer(compute, { limits: { maxImageBytes: 1e6 }, maxLoadedBundles: 1 });
    const { scored } = await scorer.score(await platePng(1), await load());
    await compute.close();
    const expected: Scored = JSON.parse(await readFile(join(folder, 'scored.json'), 'utf8'));
    expectClose([scored.anomalyScore, scored.severity], [expected.anomalyScore, expected.severity], { rtol: 1e-3 });
    expect(scored).toMatchObject({
      verdict: expected.verdict,
      threshold: expected.threshold,
      location: expected.location,
      nearestNormal: { ...expected.nearestNormal, distance: expect.closeTo(expected.nearestNormal.distance, 2) },
    });
  });

  test('is refused where it lacks a field, or claims what there was not yet', async () => {
    const json = JSON.parse(await readFile(join(folder, 'v1', 'bundle.json'), 'utf8'));
    for (const wrong of [
      { ...json, dims: undefined },
      { ...json, profile: 'accurate' },
      { ...json, schema: 3 },
    ]) {
      await putJson(store, bundleKey('plate', 'v1'), wrong);
      expect(await refusal(load())).toEqual(failure('BUNDLE_DAMAGED', 'bundle.json'));
    }
  });
});

test('another network than the one in models/ is refused', async () => {
  const network = { ...bundle.network, sha256: networks.float.sha256 };
  await putJson(store, bundleKey('plate', 'v1'), { ...bundle, network });
  expect(await refusal(load())).toEqual(
    failure('BUNDLE_NETWORK_MISMATCH', networks.float.sha256, networks.int8.sha256),
  );
});

test('a version that is not there', async () => {
  expect(await refusal(loadBundle(store, 'plate', 'v2'))).toEqual(failure('BUNDLE_NOT_FOUND', 'v2', 'plate'));
  expect(await refusal(readBundle(store, 'gear', 'v1'))).toEqual(failure('BUNDLE_NOT_FOUND', 'v1', 'gear'));
  expect(await refusal(activateBundle(store, 'plate', 'v2'))).toEqual(failure('BUNDLE_NOT_FOUND', 'v2'));
  expect(await activeVersion(store, 'gear')).toBeUndefined();
  expect(await listBundles(store, 'gear')).toEqual([]);
});

test('versions count up, the last fitted is active until another is activated', async () => {
  for (let version = 2; version <= 11; version++) await writeMadeUpBundle(store);
  const listed = (await listBundles(store, 'plate')).map(({ version }) => version);
  expect(listed).toEqual(Array.from({ length: 11 }, (_, index) => `v${index + 1}`));
  expect(await activeVersion(store, 'plate')).toBe('v11');
  await activateBundle(store, 'plate', 'v3');
  expect(await activeVersion(store, 'plate')).toBe('v3');
});

test('fits that run at once get numbers of their own; one that failed leaves a gap', async () => {
  const versions = await Promise.all(Array.from({ length: 8 }, () => claimVersion(store, 'plate')));
  expect(new Set(versions).size).toBe(8);
  expect(versions).not.toContain('v1');
  const { version } = await writeMadeUpBundle(store);
  expect(versions).not.toContain(version);
  expect((await listBundles(store, 'plate')).map((listed) => listed.version)).toEqual(['v1', version]);
});

test('products are listed in order, also where one name begins like another', async () => {
  for (const product of ['plate-2', 'plate0', 'gear', 'plat']) await writeMadeUpBundle(store, { draft: { product } });
  expect((await listProducts(store)).sort()).toEqual(['gear', 'plat', 'plate', 'plate-2', 'plate0']);
});

describe('the cache', () => {
  test('loads a bundle once for all who ask', async () => {
    const cache = createBundleCache(store, 2);
    const [first, second] = await Promise.all([cache.get('plate', 'v1'), cache.get('plate', 'v1')]);
    expect(first === second).toBe(true); // toBe itself would print both, which takes long
  });

  test('drops the least recently used', async () => {
    for (let version = 2; version <= 3; version++) await writeMadeUpBundle(store);
    const cache = createBundleCache(store, 2);
    const first = await cache.get('plate', 'v1');
    const second = await cache.get('plate', 'v2');
    expect((await cache.get('plate', 'v1')) === first).toBe(true);
    await cache.get('plate', 'v3');
    expect((await cache.get('plate', 'v1')) === first).toBe(true);
    expect((await cache.get('plate', 'v2')) === second).toBe(false);
  });

  test('tries again after a failed load', async () => {
    const { key } = bundle.parts.bank;
    const bytes = await store.get(key);
    await store.delete(key);
    const cache = createBundleCache(store, 2);
    expect(await refusal(cache.get('plate', 'v1'))).toEqual(failure('BUNDLE_DAMAGED', 'bank'));
    await store.put(key, bytes);
    expect((await cache.get('plate', 'v1')).bundle).toEqual(bundle);
  });
});

test('a part may lie in the folder of another version', async () => {
  const json = (await getJson(store, bundleKey('plate', 'v1'))) as Bundle;
  await putJson(store, bundleKey('plate', 'v2'), { ...json, version: 'v2', threshold: 3 });
  const loaded = await loadBundle(store, 'plate', 'v2');
  expect(loaded.scoring.threshold).toBe(3);
  expect(loaded.scoring.model.id).toBe((await load()).scoring.model.id);
});

test('writing the same arrays gives the same bytes', async () => {
  const again = await writeMadeUpBundle(store);
  for (const name of partNames) expect(again.parts[name].sha256).toBe(bundle.parts[name].sha256);
  expect(bundle.parts.bank.bytes).toBe(writeNpy(madeUpArrays().bank).length);
});
