import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { recordInspections } from '../../src/history/record.js';
import { openOrCreateHistory } from '../../src/history/table.js';
import { configSchema } from '../../src/shared/config.js';
import type { ScoredInspection } from '../../src/shared/contracts.js';
import { createLogger } from '../../src/shared/logger.js';
import { readResult } from '../../src/shared/results.js';
import type { ObjectStore } from '../../src/shared/store/object-store.js';
import { openStore } from '../../src/shared/store/open-store.js';
import { finalize } from '../../src/workers/finalize.js';
import { createSimilarLookup } from '../../src/workers/similar-lookup.js';
import { pastResult, putResults } from '../helpers/past-inspections.js';

const logger = createLogger('silent');
const past = [pastResult(1), pastResult(2), pastResult(3)];
const { nearestNormal, location, warnings, timings, anomalyScore, threshold, severity } = past[0]!;

/** Image 9, which looks as image 1. */
function inspection(
  verdict: 'good' | 'anomalous' = 'anomalous',
  policy: 'flagged' | 'all' = 'flagged',
): ScoredInspection {
  const { inspectionId, imageKey, camera, product, bundle, capturedAt } = pastResult(9);
  const measured = { anomalyScore, threshold, severity, location, nearestNormal, warnings, timings };
  return {
    ...{ inspectionId, imageKey, camera, product, bundle, capturedAt, policy, priority: 0 },
    scored: { ...measured, verdict, patchDistance: { mean: 1, max: 3 }, vectors: past[0]!.vectors },
  };
}

let directory: string;
let store: ObjectStore;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'patchline-lookup-'));
  store = await openStore(directory);
});
afterEach(() => rm(directory, { recursive: true, force: true }));

async function record(): Promise<void> {
  await putResults(store, past);
  const history = await openOrCreateHistory(store);
  const ids = past.map(({ inspectionId }) => inspectionId);
  expect(await recordInspections({ store, history }, ids)).toEqual({ written: 3, unreadable: [] });
}

async function damage(): Promise<void> {
  const versions = join(directory, '.history/inspections.lance/_versions');
  for (const file of await readdir(versions)) await writeFile(join(versions, file), 'damaged');
}

const lookup = (history: object = {}, timing = {}) =>
  createSimilarLookup({ store, config: configSchema.parse({ history }), logger }, timing);

async function finalized(data: ScoredInspection, findSimilar = lookup()) {
  const done = { status: 'done' } as const;
  await finalize(data, {
    store,
    childOutcomes: async () => ({ explanations: { gradcam: done, features: done, shap: done } }),
    publishResult: async () => {},
    findSimilar,
  });
  return (await readResult(store, data.inspectionId))!;
}

test('an explained result names the past inspections most like it', async () => {
  await record();
  const result = await finalized(inspection(), lookup({ similar: 2 }));
  expect(result).toMatchObject({ status: 'done', warnings: [] });
  expect(result).toHaveProperty('similar', [
    { inspectionId: past[0]!.inspectionId, distance: expect.closeTo(0, 6), verdict: 'anomalous', review: null },
    { inspectionId: expect.any(String), distance: expect.any(Number), verdict: 'anomalous', review: null },
  ]);
});

test('without a history, or where it is not wanted, a result says nothing of it', async () => {
  expect(await finalized(inspection())).not.toHaveProperty('similar');
  await record();
  const result = await finalized(inspection(), lookup({ enabled: false }));
  expect(result).not.toHaveProperty('similar');
  expect(result).toHaveProperty('warnings', []);
});

test('a good image that is not explained is not looked up', async () => {
  await record();
  const findSimilar = () => Promise.reject(new Error('asked'));
  expect(await finalized(inspection('good'), findSimilar)).not.toHaveProperty('similar');
  expect(await finalized(inspection('good', 'all'))).toHaveProperty('similar.length', 3);
});

test('a history that cannot be used is a warning, is left alone for a while, and then asked again', async () => {
  await record();
  await damage();
  const findSimilar = lookup({}, { pauseMs: 100_000 });
  const result = await finalized(inspection(), findSimilar);
  expect(result).toMatchObject({ status: 'done', warnings: [{ code: 'HISTORY_UNAVAILABLE' }] });
  expect(result).not.toHaveProperty('similar');
  const impatient = lookup({}, { pauseMs: 0 });
  expect(await impatient(inspection())).toHaveProperty('warning');
  await rm(join(directory, '.history'), { recursive: true });
  await record();
  expect(await findSimilar(inspection())).toHaveProperty('warning');
  expect(await impatient(inspection())).toHaveProperty('similar.length', 3);
});

test('no result waits for a history that does not answer in time', async () => {
  await record();
  const message = 'Expected an answer of the history of inspections within 0 ms';
  expect(await lookup({}, { limitMs: 0 })(inspection())).toEqual({ warning: { code: 'HISTORY_UNAVAILABLE', message } });
});
