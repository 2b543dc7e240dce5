import { mkdtemp, readdir, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { missingRows } from '../../src/history/catch-up.js';
import { distanceOf, findSimilar, suspectOf } from '../../src/history/nearest.js';
import { rebuildHistory } from '../../src/history/rebuild.js';
import { batchLength, recordInspections } from '../../src/history/record.js';
import { type HistoryFilter, readRows, removeRows, setReview } from '../../src/history/rows.js';
import { type History, openHistory, openOrCreateHistory } from '../../src/history/table.js';
import { fragmentsAllowed, keepUp, tidy } from '../../src/history/upkeep.js';
import { cleanStore } from '../../src/producer/retention.js';
import type { ScoredResult } from '../../src/shared/contracts.js';
import { featureNames } from '../../src/shared/kernels/readable-features.js';
import { resultKey, reviewKey } from '../../src/shared/keys.js';
import type { Review } from '../../src/shared/reviews.js';
import { listAll, type ObjectStore, putJson } from '../../src/shared/store/object-store.js';
import { openStore } from '../../src/shared/store/open-store.js';
import { runHere } from '../helpers/command-line.js';
import { pastResult, putResults, vectorsOf } from '../helpers/past-inspections.js';
import { type S3Server, startS3Server } from '../helpers/s3-server.js';
import { failedResult } from '../helpers/scored-result.js';
import { locateService, requireService } from '../helpers/services.js';

const review: Review = { schema: 1, verdict: 'good', by: 'anna', at: '2026-02-01T08:00:00.000Z' };
const explained: Partial<ScoredResult> = {
  risk: {
    ...{ probability: 0.9, baseValue: 0.1, agreesWithVerdict: true },
    features: featureNames.map((name, index) => ({ name, value: index, usual: 0, shap: index / 10 })).reverse(),
  },
};

async function record(store: ObjectStore, results: ScoredResult[]): Promise<History> {
  await putResults(store, results);
  const history = await openOrCreateHistory(store);
  await recordInspections(
    { store, history },
    results.map(({ inspectionId }) => inspectionId),
  );
  return history;
}

async function rowsOf(history: History, filter: HistoryFilter = {}) {
  const rows = [];
  for await (const row of readRows(history, filter, ['inspectionId', 'review', 'features', 'shap', 'capturedAt']))
    rows.push(row);
  return rows.sort((a, b) => (a.inspectionId < b.inspectionId ? -1 : 1));
}
const idsIn = async (history: History, filter?: HistoryFilter) =>
  (await rowsOf(history, filter)).map(({ inspectionId }) => inspectionId);
const idsOf = (...results: { inspectionId: string }[]) => results.map(({ inspectionId }) => inspectionId).sort();

let directory: string;
let store: ObjectStore;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'patchline-history-'));
  store = await openStore(directory);
});
afterEach(() => rm(directory, { recursive: true, force: true }));

async function damage() {
  const versions = join(directory, '.history/inspections.lance/_versions');
  for (const file of await readdir(versions)) await writeFile(join(versions, file), 'damaged');
}

function keepsRows(placeOf: () => Promise<ObjectStore>) {
  test('rows are written over their like, filtered, reviewed and removed, and no listing shows them', async () => {
    const store = await placeOf();
    expect(await openHistory(store)).toBeUndefined();
    const first = pastResult(1, { ...explained, capturedAt: '2026-01-31T08:00:00.000Z' });
    const second = pastResult(2, { camera: 'line-2', verdict: 'good', capturedAt: '2026-02-02T08:00:00.000Z' });
    const third = pastResult(3, { product: 'kol', camera: null, capturedAt: '2026-02-03T08:00:00.000Z' });
    const history = await record(store, [first, second, third]);
    await record(store, [{ ...first, anomalyScore: 7 }]);

    expect(await idsIn((await openHistory(store))!)).toEqual(idsOf(first, second, third));
    expect(await history.table.countRows('anomalyScore = 7')).toBe(1);
    expect(await idsIn(history, { product: 'plate' })).toEqual(idsOf(first, second));
    expect(await idsIn(history, { product: 'kol' })).toEqual(idsOf(third));
    expect(await idsIn(history, { camera: 'line-2' })).toEqual(idsOf(second));
    expect(await idsIn(history, { verdict: 'good' })).toEqual(idsOf(second));
    const since = new Date(second.capturedAt);
    expect(await idsIn(history, { since })).toEqual(idsOf(second, third));
    expect(await idsIn(history, { until: since })).toEqual(idsOf(first));
    const [row] = await rowsOf(history, { until: since });
    expect(row!.capturedAt).toEqual(new Date(first.capturedAt));
    expect([...row!.features!]).toEqual([0, 1, 2, 3, 4]);
    expect([...row!.shap!]).toEqual([0, 0.1, 0.2, 0.3, 0.4]);

    expect(await setReview(history, first.inspectionId, review)).toBe(true);
    expect(await setReview(history, 'i-20260131-000000000000000000000000', review)).toBe(false);
    expect((await rowsOf(history)).map((row) => [row.inspectionId, row.review])).toContainEqual([
      first.inspectionId,
      'good',
    ]);
    await removeRows(history, [first.inspectionId, second.inspectionId, 'i-20260131-000000000000000000000000']);
    expect(await idsIn(history)).toEqual(idsOf(third));

    const keys = [];
    for await (const { key } of listAll(store, '')) keys.push(key);
    expect(keys).toHaveLength(3);
  });
}

describe('in a directory', () => {
  keepsRows(async () => store);

  test('who only reads makes nothing', async () => {
    expect(await openHistory(store)).toBeUndefined();
    expect(await readdir(directory)).toEqual([]);
  });

  test('two writers of the same rows leave each once', async () => {
    const results = Array.from({ length: 10 }, (_, n) => pastResult(n));
    await putResults(store, results);
    const histories = [await openOrCreateHistory(store), await openOrCreateHistory(store)];
    for (const { inspectionId } of results) {
      await Promise.all(histories.map((history) => recordInspections({ store, history }, [inspectionId])));
    }
    expect(await idsIn(histories[0]!)).toEqual(idsOf(...results));
  });

  test('a history that cannot be read has a code', async () => {
    await openOrCreateHistory(store);
    await damage();
    await expect(openHistory(store)).rejects.toMatchObject({ code: 'HISTORY_UNAVAILABLE', retryable: true });
  });
});

describe.each(['fauxqs', 'versitygw'] as const)('in S3 on %s', (kind) => {
  let server: S3Server | undefined;
  const before = { ...process.env };
  beforeEach((context) => {
    if (kind === 'versitygw') requireService(kind, context);
  });
  beforeAll(async () => {
    if (kind === 'versitygw' && !locateService(kind)) return;
    server = await startS3Server(kind);
    Object.assign(process.env, server.env);
  });
  afterAll(async () => {
    process.env = before;
    await server?.stop();
  });
  keepsRows(() => openStore(server!.url));
});

test('a failed inspection has a row without numbers, one that cannot be read none', async () => {
  const strange = pastResult(1, { vectors: { ...vectorsOf(1), patch: 'AAA=' } });
  await putResults(store, [failedResult, strange]);
  const history = await openOrCreateHistory(store);
  const { written, unreadable } = await recordInspections({ store, history }, idsOf(failedResult, strange));
  expect(written).toBe(1);
  expect(unreadable).toEqual([
    {
      inspectionId: strange.inspectionId,
      message: `Expected 1280 and 328 numbers for the vectors of ${strange.inspectionId} but received 1280 and 1`,
    },
  ]);
  const rows = history.table.query().where("errorCode = 'IMAGE_UNREADABLE' AND verdict IS NULL AND embedding IS NULL");
  expect(await rows.toArray()).toHaveLength(1);
});

describe('similar inspections', () => {
  const suspect = (result: ScoredResult) => suspectOf(result, result);
  const similarTo = async (history: History, result: ScoredResult, k = 5) =>
    (await findSimilar(history, suspect(result), k)).map(({ inspectionId }) => inspectionId);

  test('are the nearest of all, with verdict and review', async () => {
    const past = Array.from({ length: 150 }, (_, n) => pastResult(n, { verdict: n % 3 === 0 ? 'good' : 'anomalous' }));
    const history = await record(store, past);
    await setReview(history, past[4]!.inspectionId, review);
    for (const verdict of ['anomalous', 'good'] as const) {
      const image = pastResult(1_000, { verdict });
      const expected = past
        .filter((each) => verdict === 'good' || each.verdict === 'anomalous')
        .map((each) => ({ each, distance: distanceOf(suspect(image), suspect(each)) }))
        .sort((a, b) => a.distance - b.distance)
        .slice(0, 5);
      const found = await findSimilar(history, suspect(image), 5);
      expect(found.map(({ inspectionId }) => inspectionId)).toEqual(expected.map(({ each }) => each.inspectionId));
      expect(found.map(({ distance }) => distance.toFixed(5))).toEqual(
        expected.map((each) => each.distance.toFixed(5)),
      );
    }
    const [same] = await findSimilar(history, { ...suspect(past[4]!), imageKey: "another's" }, 1);
    expect(same).toMatchObject({ inspectionId: past[4]!.inspectionId, verdict: 'anomalous', review: 'good' });
    expect(same!.distance).toBeCloseTo(0, 6);
  });

  test('are of other images, of the same product and network, each image once', async () => {
    const image = pastResult(1);
    const like = { vectors: image.vectors };
    const sameImage = pastResult(1, { bundle: 'v2' });
    const otherProduct = pastResult(2, { ...like, product: 'kol' });
    const otherNetwork = pastResult(3, { vectors: vectorsOf(1, 'b'.repeat(64)) });
    const other = pastResult(4, like);
    const otherAgain = pastResult(4, { ...like, bundle: 'v2', capturedAt: '2026-02-01T08:00:00.000Z' });
    const far = pastResult(5);
    const history = await record(store, [image, sameImage, otherProduct, otherNetwork, other, otherAgain, far]);
    expect(await similarTo(history, image)).toEqual([otherAgain.inspectionId, far.inspectionId]);
    expect(await similarTo(history, image, 1)).toEqual([otherAgain.inspectionId]);
  });

  test('of an anomalous image are those that were judged or reviewed anomalous', async () => {
    const image = pastResult(1);
    const like = { vectors: image.vectors, verdict: 'good' as const };
    const [good, missed] = [pastResult(2, like), pastResult(3, like)];
    const history = await record(store, [good, missed]);
    expect(await similarTo(history, image)).toEqual([]);
    await setReview(history, missed.inspectionId, { ...review, verdict: 'anomalous' });
    expect(await similarTo(history, image)).toEqual([missed.inspectionId]);
  });
});

describe('the store is the truth', () => {
  test('rows that are missing or older than result or review are found, by date of capture', async () => {
    const old = pastResult(1, { capturedAt: '2026-01-30T08:00:00.000Z' });
    const [same, missing, judged] = [pastResult(2), pastResult(3), pastResult(4)];
    const history = await record(store, [old, same, judged]);
    await putResults(store, [missing]);
    await putJson(store, reviewKey(judged.inspectionId), review);
    await putJson(store, reviewKey('i-20260131-000000000000000000000000'), review); // of no result
    await removeRows(history, [old.inspectionId]);
    const found = async (since: string) => {
      const ids = [];
      for await (const id of missingRows({ store, history }, since)) ids.push(id);
      return ids.sort();
    };
    expect(await found('2026-01-31')).toEqual(idsOf(missing, judged));
    expect(await found('2026-01-01')).toEqual(idsOf(old, missing, judged));
    await recordInspections({ store, history }, idsOf(old, missing, judged));
    expect(await found('2026-01-01')).toEqual([]);
    expect((await rowsOf(history)).filter((row) => row.review === 'good')).toHaveLength(1);
  });

  test('a rebuild records what is there, drops what is gone and names what cannot be read', async () => {
    const kept = Array.from({ length: batchLength + 5 }, (_, n) => pastResult(n));
    const gone = pastResult(1_000);
    const broken = pastResult(1_001);
    const history = await record(store, [gone, broken]);
    await putResults(store, kept);
    await putJson(store, reviewKey(kept[3]!.inspectionId), review);
    await store.delete(resultKey(gone.inspectionId));
    await store.put(resultKey(broken.inspectionId), new TextEncoder().encode('{'));
    const progress: number[] = [];
    const report = await rebuildHistory(store, (done) => progress.push(done));
    expect(report).toMatchObject({
      results: 206,
      rows: 205,
      removed: 2,
      unreadable: [{ inspectionId: broken.inspectionId }],
    });
    expect(progress).toEqual([200, 206]);
    expect(await idsIn(history)).toEqual(idsOf(...kept));
    expect((await rowsOf(history)).filter((row) => row.review === 'good')).toHaveLength(1);
  });

  test('a rebuild replaces a table that cannot be used, and the command says what it left out', async () => {
    const result = pastResult(1);
    await record(store, [result]);
    await damage();
    expect(await runHere(['history', 'rebuild', '--store', directory])).toMatchObject({
      code: 0,
      stdout: '1 of 1 results recorded, 0 cannot be read, 0 rows without a result removed\n',
    });
    await store.put(resultKey(result.inspectionId), new TextEncoder().encode('{'));
    const { code, stdout, stderr } = await runHere(['history', 'rebuild', '--store', directory, '--json']);
    expect(code).toBe(1);
    expect(JSON.parse(stdout)).toMatchObject({
      rows: 0,
      removed: 1,
      unreadable: [{ inspectionId: result.inspectionId }],
    });
    expect(stderr).toContain(`${result.inspectionId}: cannot be read`);
  });

  test('what retention deletes leaves history too', async () => {
    const [older, newer] = [pastResult(1), pastResult(2)];
    const history = await record(store, [older, newer]);
    await cleanStore(store, { work: 7, images: null, results: null }, { now: Date.now() + 86_400_000_000 });
    expect(await idsIn(history)).toEqual(idsOf(older, newer));
    await utimes(join(directory, resultKey(older.inspectionId)), 0, 0);
    const retention = { work: 7, images: null, results: 1 };
    expect(await cleanStore(store, retention)).toMatchObject({ results: 1 });
    expect(await idsIn(history)).toEqual(idsOf(newer));
  });
});

test('a large table gets an index over its embeddings, with which new rows are found too', async () => {
  const past = Array.from({ length: 300 }, (_, n) => pastResult(n, { verdict: 'good' }));
  const history = await record(store, past);
  await tidy(history, { indexFrom: 301 });
  expect(await history.table.listIndices()).toEqual([]);
  await tidy(history, { indexFrom: 300 });
  expect(await history.table.listIndices()).toMatchObject([{ columns: ['embedding'], indexType: 'IvfFlat' }]);
  const added = pastResult(300, { verdict: 'good' });
  for (const recorded of [past[7]!, added]) {
    await record(store, [recorded]);
    const suspect = { ...suspectOf(recorded, recorded), imageKey: 'another' };
    expect(await findSimilar(history, suspect, 1)).toMatchObject([{ inspectionId: recorded.inspectionId }]);
  }
  await tidy(history, { indexFrom: 300 });
  expect(await history.table.indexStats('embedding_idx')).toMatchObject({ numUnindexedRows: 0 });
});

test('fragments are joined when there are too many for so many rows', async () => {
  expect([0, 50_000, 100_000, 500_000, 5_000_000].map(fragmentsAllowed)).toEqual([100, 100, 100, 500, 1_000]);
  const history = await openOrCreateHistory(store);
  const fragments = async () => (await history.table.stats()).fragmentStats.numFragments;
  for (let n = 0; n < 100; n++) {
    await keepUp(history);
    expect(await fragments()).toBe(n);
    await record(store, [pastResult(n)]);
  }
  await keepUp(history);
  expect(await fragments()).toBe(1);
  expect(await history.table.countRows()).toBe(100);
});
