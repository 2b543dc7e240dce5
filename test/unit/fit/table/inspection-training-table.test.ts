import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readInspections } from '../../../../src/fit/table/inspection-training-table.js';
import type { ScoredResult } from '../../../../src/shared/contracts.js';
import { inspectionIdOf, resultKey } from '../../../../src/shared/keys.js';
import { type ObjectStore, putJson } from '../../../../src/shared/store/object-store.js';
import { openStore } from '../../../../src/shared/store/open-store.js';
import { failedResult, scoredResult } from '../../../helpers/scored-result.js';

const count = 24;
let folder: string;
let store: ObjectStore;

async function storeResult(n: number, changes: Partial<ScoredResult>): Promise<void> {
  const capturedAt = `2026-01-${String(1 + n).padStart(2, '0')}T08:00:00.000Z`;
  const result = {
    ...scoredResult,
    imageKey: `images/${n}`,
    capturedAt,
    severity: 10 * n,
    anomalyScore: n / 4,
    ...changes,
  };
  const inspectionId = inspectionIdOf(result.imageKey, result.product, result.bundle, result.capturedAt);
  await putJson(store, resultKey(inspectionId), { ...result, inspectionId });
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'patchline-inspection-table-'));
  store = await openStore(folder);
  for (let n = 0; n < count; n++) {
    const process = {
      temperature: 200 + n,
      plant: 3,
      ...(n % 3 > 0 && { pressure: n ** 2 }),
      ...(n % 3 === 0 && { speed: n }),
    };
    await storeResult(n, { process, verdict: n % 2 ? 'anomalous' : 'good', camera: n < 22 ? 'line-1' : null });
  }
  // The same image by a later bundle, and by an earlier one.
  await storeResult(1, { bundle: 'v10', process: { temperature: 201, plant: 3, pressure: 1 }, severity: 777 });
  await storeResult(2, { bundle: 'v9', process: { temperature: 202, plant: 3, pressure: 4 }, severity: 888 });
  await storeResult(2, { bundle: 'v10', process: { temperature: 202, plant: 3, pressure: 4 }, severity: 999 });
  await storeResult(26, { process: {} });
  await storeResult(27, { product: 'other', process: { temperature: 1 } });
  await putJson(store, resultKey(failedResult.inspectionId), { ...failedResult, process: { temperature: 1 } });
});
afterAll(() => rm(folder, { recursive: true, force: true }));

test('readings are joined with missing values, and rare or constant ones left out', async () => {
  const table = await readInspections(store, { product: 'plate', target: 'severity' });
  expect(table.columns).toEqual(['temperature', 'pressure']);
  expect(table.leftOut).toEqual([
    { column: 'plant', reason: 'never varies' },
    { column: 'speed', reason: 'missing in 67 %' },
  ]);
  expect([...table.rows.subarray(0, 8)]).toEqual([200, Number.NaN, 201, 1, 202, 4, 203, Number.NaN]);
});

test('an image that several bundles judged counts once, by the latest', async () => {
  const { target } = await readInspections(store, { product: 'plate', target: 'severity' });
  expect(target.values).toHaveLength(count);
  expect([...target.values.subarray(0, 4)]).toEqual([0, 777, 999, 30]);
});

test('the target is severity, score or verdict', async () => {
  const score = await readInspections(store, { product: 'plate', target: 'anomalyScore' });
  expect([score.target.classes, score.target.values[5]]).toEqual([undefined, 1.25]);
  const { target } = await readInspections(store, { product: 'plate', target: 'anomalous' });
  expect(target.classes).toEqual(['good', 'anomalous']);
  expect(target.values[5]).toBe(1);
});

test('cameras and dates are chosen', async () => {
  const { target, source } = await readInspections(store, {
    product: 'plate',
    camera: 'line-1',
    since: '2026-01-03',
    target: 'severity',
  });
  expect([target.values.length, target.values[0]]).toEqual([20, 999]);
  expect(source).toBe('inspections of plate by line-1 since 2026-01-03');
});

test.each([
  [{ product: 'nothing' }, 'there are no such inspections'],
  [{ product: 'plate', since: '2026-01-27' }, 'none of 1 has any'],
  [{ product: 'plate', since: '2026-01-10' }, 'at least 20 rows with a value in "severity" but there are 15'],
])('%j is refused', async (search, says) => {
  await expect(readInspections(store, { ...search, target: 'severity' })).rejects.toThrow(says);
});
