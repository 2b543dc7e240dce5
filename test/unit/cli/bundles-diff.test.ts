import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { compareBundles } from '../../../src/cli/bundles-diff.js';
import { openStore } from '../../../src/shared/store/open-store.js';
import { writeMadeUpBundle } from '../../helpers/bundle.js';

test('the kind of the risk model is named where it has changed', async () => {
  const root = await mkdtemp(join(tmpdir(), 'patchline-diff-'));
  const store = await openStore(root);
  const before = await writeMadeUpBundle(store);
  const { auroc, usual, background } = before.risk;
  const trees = [{ features: [0, 1, 2], thresholds: [0, 0, 0], leaves: [0, 0, 0, 0] }];
  const after = await writeMadeUpBundle(store, {
    draft: { risk: { kind: 'forest', auroc, usual, background, trees } },
  });
  await rm(root, { recursive: true });
  const falseAlarms = { count: 0, images: 5, rate: 0, interval: [0, 0.5] as [number, number] };
  const compare = (a: typeof before, b: typeof before) =>
    compareBundles({ bundle: a, falseAlarms }, { bundle: b, falseAlarms }).settings;
  expect(compare(before, after)).toEqual({ 'risk model': { from: 'logistic', to: 'forest' } });
  expect(compare(after, after)).toEqual({});
});
