import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { copyInspection, writeContactSheet } from '../../src/cli/inspection-folders.js';
import { PatchlineClient } from '../../src/client.js';
import { recordInspections } from '../../src/history/record.js';
import { readRows } from '../../src/history/rows.js';
import { openOrCreateHistory } from '../../src/history/table.js';
import { reviewInspection } from '../../src/producer/review.js';
import type { InspectionResult } from '../../src/shared/contracts.js';
import { reviewKey } from '../../src/shared/keys.js';
import { type NewReview, readReview } from '../../src/shared/reviews.js';
import type { ObjectStore } from '../../src/shared/store/object-store.js';
import { openStore } from '../../src/shared/store/open-store.js';
import { runHere } from '../helpers/command-line.js';
import { type HttpLine, openHttpLine } from '../helpers/http-line.js';
import { pastResult, putResults } from '../helpers/past-inspections.js';
import { plateJpeg } from '../helpers/plates.js';
import { redisKinds, type TestRedis } from '../helpers/redis-kinds.js';
import { failedResult } from '../helpers/scored-result.js';

const anna: NewReview = { verdict: 'good', by: 'anna', note: 'only dust' };
const bert: NewReview = { verdict: 'anomalous', by: 'bert', defectType: 'pit' };
const aTime = expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
const nowhere = 'i-20260131-000000000000000000000000';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'patchline-review-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** A store with one anomalous result and one that failed. */
async function storeWithResults(name: string): Promise<{ store: ObjectStore; result: InspectionResult }> {
  const store = await openStore(join(folder, name));
  const result = pastResult(1);
  await putResults(store, [result, failedResult]);
  return { store, result };
}

describe('a review', () => {
  const logger = pino({ level: 'silent' });

  test('lies beside its result; a later one replaces it and keeps it, the same one again changes nothing', async () => {
    const { store, result } = await storeWithResults('kept');
    const first = await reviewInspection({ store, logger }, result.inspectionId, anna);
    expect(first).toEqual({ schema: 1, ...anna, at: aTime });
    expect(await reviewInspection({ store, logger }, result.inspectionId, { ...anna })).toEqual(first);
    await reviewInspection({ store, logger }, result.inspectionId, bert);
    const last = await reviewInspection({ store, logger }, result.inspectionId, anna);
    const earlier = [
      { ...anna, at: first.at },
      { ...bert, at: aTime },
    ];
    expect(last).toEqual({ schema: 1, ...anna, at: aTime, earlier });
    expect(await readReview(store, result.inspectionId)).toEqual(last);
  });

  test('can be of an inspection that failed, and of none that has no result', async () => {
    const { store } = await storeWithResults('which');
    await reviewInspection({ store, logger }, failedResult.inspectionId, anna);
    expect(await readReview(store, failedResult.inspectionId)).toMatchObject(anna);
    for (const id of [nowhere, 'part.jpg', '../../x']) {
      const refused = expect.objectContaining({ code: 'INSPECTION_NOT_FOUND', message: expect.stringContaining(id) });
      await expect(reviewInspection({ store, logger }, id, anna)).rejects.toEqual(refused);
    }
    expect(await store.head(reviewKey(nowhere))).toBeUndefined();
  });

  test('is in history at once, and kept where history cannot be used', async () => {
    const { store, result } = await storeWithResults('history');
    const history = await openOrCreateHistory(store);
    await recordInspections({ store, history }, [result.inspectionId]);
    await reviewInspection({ store, logger }, result.inspectionId, anna);
    const reviews: unknown[] = [];
    for await (const row of readRows(history, {}, ['review'])) reviews.push(row.review);
    expect(reviews).toEqual(['good']);

    const broken = await storeWithResults('broken');
    await writeFile(join(folder, 'broken', '.history'), 'no folder');
    const lines: string[] = [];
    const loud = pino({ level: 'warn' }, { write: (line) => void lines.push(line) });
    await reviewInspection({ store: broken.store, logger: loud }, broken.result.inspectionId, anna);
    expect(await readReview(broken.store, broken.result.inspectionId)).toMatchObject(anna);
    expect(lines.join()).toContain('not recorded in history yet');
  });

  test('stands on the contact sheet', async () => {
    const { store, result } = await storeWithResults('sheet');
    await reviewInspection({ store, logger }, result.inspectionId, { ...bert, note: 'near <rim>' });
    await store.put(result.imageKey, await plateJpeg(0));
    const out = join(folder, 'out');
    await copyInspection(store, result, out, 'overlay');
    const page = await readFile(await writeContactSheet(out), 'utf8');
    expect(page).toMatch(/Reviewed anomalous \(pit\) by bert, \d{4}-\d\d-\d\d\.<\/b> near &lt;rim&gt;/);
  });
});

describe('patchline review', () => {
  test('keeps who says what, by default the user of the operating system', async () => {
    const { result } = await storeWithResults('command');
    const common = ['--store', join(folder, 'command'), '--json'];
    const run = (...args: string[]) => runHere(['review', result.inspectionId, ...args, ...common]);
    const first = await run('anomalous', '--note', 'deep', '--defect-type', 'pit');
    expect(first.code, first.stderr).toBe(0);
    const own = { verdict: 'anomalous', note: 'deep', defectType: 'pit', by: userInfo().username };
    expect(JSON.parse(first.stdout)).toEqual({ inspectionId: result.inspectionId, schema: 1, ...own, at: aTime });
    const second = await runHere(['review', result.inspectionId, 'good', '--by', 'anna', ...common.slice(0, 2)]);
    expect(second.stdout).toBe(
      `${result.inspectionId} reviewed good by anna; before: anomalous by ${userInfo().username}\n`,
    );
    const unknown = await runHere(['review', nowhere, 'good', ...common]);
    expect(unknown).toMatchObject({ code: 1, stdout: expect.stringContaining('INSPECTION_NOT_FOUND') });
  });
});

describe('over HTTP', () => {
  let redis: TestRedis;
  let line: HttpLine;
  let client: PatchlineClient;
  beforeAll(async () => {
    redis = await redisKinds()[0]!.open();
    line = await openHttpLine(redis.url);
    client = new PatchlineClient({ url: line.url, retries: 0 });
  });
  afterAll(async () => {
    await line.close();
    await redis.stop();
  });

  test('a review is kept and shown beside the result', async () => {
    const result = pastResult(2);
    await putResults(line.store, [result]);
    expect(await client.result(result.inspectionId)).toEqual(result);
    const review = await client.review(result.inspectionId, bert);
    expect(review).toEqual({ schema: 1, ...bert, at: aTime });
    expect(await client.result(result.inspectionId)).toEqual({ ...result, review });
  });

  test('what is no review, or of no result, is refused', async () => {
    await expect(client.review(nowhere, anna)).rejects.toMatchObject({ code: 'INSPECTION_NOT_FOUND', status: 404 });
    const post = (body: string, type = 'application/json') =>
      fetch(`${line.url}/v1/inspections/${nowhere}/review`, {
        method: 'POST',
        body,
        headers: { 'content-type': type },
      });
    const wrong: [object | string, RegExp][] = [
      [{ verdict: 'fine', by: 'anna' }, /verdict/],
      [{ verdict: 'good' }, /by/],
      [{ ...anna, at: '2026-01-31' }, /at/],
      [{ ...anna, defectType: 'pit' }, /verdict anomalous only/],
      ['{', /JSON/],
    ];
    for (const [body, says] of wrong) {
      const response = await post(typeof body === 'string' ? body : JSON.stringify(body));
      expect(response.status, JSON.stringify(body)).toBe(400);
      const { error } = (await response.json()) as { error: { code: string; message: string } };
      expect(error.code).toBe('REQUEST_INVALID');
      expect(error.message).toMatch(says);
    }
    expect((await post('good', 'text/html')).status).toBe(415);
  });
});
