import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { activateBundle, activeVersion, rollBackBundle } from '../../src/shared/active-bundle.js';
import { type Bundle, bundleKey } from '../../src/shared/bundle.js';
import { activeBundleKey } from '../../src/shared/keys.js';
import { networks } from '../../src/shared/networks.js';
import { getJson, type ObjectStore, putJson } from '../../src/shared/store/object-store.js';
import { openStore } from '../../src/shared/store/open-store.js';
import { madeUpFusedDraft, madeUpSampleArrays, madeUpSubspaceArrays, writeMadeUpBundle } from '../helpers/bundle.js';

let root: string;
let store: ObjectStore;
let count = 0;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'patchline-active-'));
});
afterAll(() => rm(root, { recursive: true }));
beforeEach(async () => {
  store = await openStore(join(root, `${count++}`));
});

const active = () => activeVersion(store, 'plate');
const activate = (version: string) => activateBundle(store, 'plate', version);
const rollBack = () => rollBackBundle(store, 'plate');
const failure = (code: string, ...texts: string[]) =>
  expect.objectContaining({ code, message: expect.stringMatching(new RegExp(texts.join('.*'), 's')) });

describe('going back', () => {
  test('leads to what was active before, step by step', async () => {
    for (let version = 1; version <= 3; version++) await writeMadeUpBundle(store);
    await activate('v1');
    await activate('v1'); // changes nothing: going back must not lead to the same version
    expect(await rollBack()).toEqual({ from: 'v1', to: 'v3' });
    expect(await active()).toBe('v3');
    expect(await rollBack()).toEqual({ from: 'v3', to: 'v2' });
    expect(await rollBack()).toEqual({ from: 'v2', to: 'v1' });
    await expect(rollBack()).rejects.toEqual(failure('BUNDLE_NOT_FOUND', 'plate', 'before v1'));
    expect(await active()).toBe('v1');
  });

  test('starts anew from the version that was activated after', async () => {
    for (let version = 1; version <= 3; version++) await writeMadeUpBundle(store);
    await rollBack();
    await activate('v1');
    expect(await rollBack()).toEqual({ from: 'v1', to: 'v2' });
  });

  test('is not possible where active.json was written before there was a way back, until another is activated', async () => {
    for (let version = 1; version <= 2; version++) await writeMadeUpBundle(store);
    await putJson(store, activeBundleKey('plate'), { version: 'v2' });
    expect(await active()).toBe('v2');
    await expect(rollBack()).rejects.toEqual(failure('BUNDLE_NOT_FOUND', 'before v2'));
    await activate('v1');
    expect(await rollBack()).toEqual({ from: 'v1', to: 'v2' });
  });

  test('does not lead to a damaged version', async () => {
    const first = await writeMadeUpBundle(store);
    await writeMadeUpBundle(store);
    await store.delete(first.parts.bank.key);
    await expect(rollBack()).rejects.toEqual(failure('BUNDLE_DAMAGED', 'bank'));
    expect(await active()).toBe('v2');
  });

  test('needs an active version', async () => {
    await expect(rollBack()).rejects.toEqual(failure('BUNDLE_NOT_FOUND', 'plate'));
  });

  test('is kept for 20 versions', async () => {
    for (let version = 1; version <= 2; version++) await writeMadeUpBundle(store);
    for (let times = 0; times < 30; times++) await activate(times % 2 === 0 ? 'v1' : 'v2');
    expect(((await getJson(store, activeBundleKey('plate'))) as { previous: string[] }).previous).toHaveLength(20);
  });
});

describe('a bundle that nothing could be inspected with is not activated', () => {
  let bundle: Bundle;
  beforeEach(async () => {
    bundle = await writeMadeUpBundle(store, {
      draft: madeUpFusedDraft,
      subspaceArrays: madeUpSubspaceArrays(),
      sampleArrays: madeUpSampleArrays(),
    });
    await writeMadeUpBundle(store);
  });
  const partOf = {
    bank: () => bundle.parts.bank,
    'residual-whitening': () => bundle.subspace!.parts['residual-whitening'],
    'sample-features': () => bundle.sampleParts!['sample-features'],
  };
  const names = Object.keys(partOf) as (keyof typeof partOf)[];

  test('a whole one is', async () => {
    await activate('v1');
    expect(await active()).toBe('v1');
  });

  test.each(names)('%s missing', async (name) => {
    await store.delete(partOf[name]().key);
    await expect(activate('v1')).rejects.toEqual(failure('BUNDLE_DAMAGED', name, 'no such object'));
    expect(await active()).toBe('v2');
  });

  test.each(names)('%s with one bit turned', async (name) => {
    const { key } = partOf[name]();
    const bytes = Uint8Array.from(await store.get(key));
    bytes[bytes.length - 1]! ^= 1;
    await store.put(key, bytes);
    await expect(activate('v1')).rejects.toEqual(failure('BUNDLE_DAMAGED', name, 'sha256'));
    expect(await active()).toBe('v2');
  });

  test('bundle.json cut short', async () => {
    const key = bundleKey('plate', 'v1');
    await store.put(key, (await store.get(key)).subarray(0, 100));
    await expect(activate('v1')).rejects.toEqual(failure('BUNDLE_DAMAGED', 'bundle.json'));
    expect(await active()).toBe('v2');
  });

  test('the network of another release', async () => {
    const network = { ...bundle.network, sha256: networks.float.sha256 };
    await putJson(store, bundleKey('plate', 'v1'), { ...bundle, network });
    await expect(activate('v1')).rejects.toEqual(failure('BUNDLE_NETWORK_MISMATCH', 'v1', 'plate'));
    expect(await active()).toBe('v2');
  });
});
