import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parse } from 'csv-parse/sync';
import { asyncBufferFromFile, parquetMetadataAsync, parquetReadObjects, parquetSchema } from 'hyparquet';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { FailedResult, InspectionResult, ScoredResult } from '../../src/shared/contracts.js';
import { featureNames } from '../../src/shared/kernels/readable-features.js';
import { resultKey } from '../../src/shared/keys.js';
import { type ObjectStore, putJson } from '../../src/shared/store/object-store.js';
import { openStore } from '../../src/shared/store/open-store.js';
import { runHere } from '../helpers/command-line.js';
import { failedResult, scoredResult } from '../helpers/scored-result.js';

let directory: string;
let store: ObjectStore;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'patchline-export-'));
  store = await openStore(join(directory, 'store'));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

const explained: ScoredResult = {
  ...scoredResult,
  inspectionId: 'i-20260131-0123456789abcdef01234567',
  risk: {
    probability: 0.93,
    baseValue: 0.2,
    agreesWithVerdict: true,
    features: featureNames.map((name, at) => ({ name, value: at + 0.5, usual: at, shap: -(at + 1) / 8 })),
  },
  classifier: { label: 'defect', probability: 0.97, weak: false },
  process: { 'force, kN': -1.25, '=cmd': 3 },
};
const good: ScoredResult = {
  ...scoredResult,
  inspectionId: 'i-20260201-0000000000000000000000aa',
  capturedAt: '2026-02-01T00:00:00.000Z',
  camera: 'line-2',
  verdict: 'good',
  severity: -3.5,
  imageKey: '=HYPERLINK("evil"),\u2028.png',
  process: { temperature: 21 },
};
const broken: FailedResult = {
  ...failedResult,
  error: { code: 'IMAGE_UNREADABLE', message: 'Expected "a whole" PNG,\nbut it is cut', stage: 'score' },
};
const other: ScoredResult = { ...scoredResult, inspectionId: 'i-20260131-ffffffffffffffffffffffff', product: 'rod' };

async function put(...results: InspectionResult[]): Promise<void> {
  for (const result of results) await putJson(store, resultKey(result.inspectionId), result);
}

async function run(name: string, ...args: string[]) {
  const file = join(directory, name);
  const common = ['--store', store.url, '--out', file, '--json'];
  const { code, stdout, stderr } = await runHere(['export', '--product', 'plate', ...args, ...common]);
  return { code, stderr, file, answer: JSON.parse(stdout) };
}

async function csvRows(...args: string[]): Promise<Record<string, string>[]> {
  const { code, file, answer } = await run('out.csv', ...args);
  const rows: Record<string, string>[] = parse(await readFile(file), { columns: true });
  expect([code, answer.rows]).toEqual([0, rows.length]);
  return rows;
}
const idsOf = (rows: Record<string, unknown>[]) => rows.map((row) => row.inspectionId);

test('CSV holds one row per inspection, with every number as it stands in the result', async () => {
  await put(explained, good, broken, other);
  const rows = await csvRows();
  expect(idsOf(rows)).toEqual([explained, broken, good].map(({ inspectionId }) => inspectionId));
  const [first, second, third] = rows as [Record<string, string>, Record<string, string>, Record<string, string>];
  expect(first).toMatchObject({
    capturedAt: '2026-01-31T08:00:00.000Z',
    status: 'done',
    verdict: 'anomalous',
    anomalyScore: '5.1',
    'location.x': '120',
    'location.height': '30',
    'risk.probability': '0.93',
    'classifier.label': 'defect',
    'classifier.weak': 'false',
    'process.force, kN': '-1.25',
    'process.=cmd': '3',
    'process.temperature': '',
    'error.code': '',
  });
  const features = featureNames.flatMap((name) => [first[`${name}.value`], first[`${name}.shap`]].map(Number));
  expect(features).toEqual(featureNames.flatMap((_, at) => [at + 0.5, -(at + 1) / 8]));
  expect(second).toMatchObject({
    status: 'failed',
    verdict: '',
    anomalyScore: '',
    'error.code': 'IMAGE_UNREADABLE',
    'error.stage': 'score',
    'error.message': 'Expected "a whole" PNG,\nbut it is cut',
  });
  expect(third).toMatchObject({ severity: '-3.5', 'process.temperature': '21', 'risk.probability': '' });
});

test('a text that a spreadsheet would take for a formula is one no longer', async () => {
  await put(good);
  const [row] = await csvRows();
  expect(row!.imageKey).toBe(`'${good.imageKey}`);
});

test('Parquet holds the same rows under typed columns', async () => {
  await put(explained, good, broken, other);
  const { code, file, answer } = await run('out.parquet');
  expect([code, answer]).toMatchObject([0, { rows: 3, unreadable: [] }]);
  const buffer = await asyncBufferFromFile(file);
  const rows = await parquetReadObjects({ file: buffer });
  expect(rows).toHaveLength(3);
  expect(rows[0]).toMatchObject({
    inspectionId: explained.inspectionId,
    capturedAt: new Date(explained.capturedAt),
    anomalyScore: 5.1,
    'max_patch_distance.shap': -2 / 8,
    'classifier.weak': false,
    'process.force, kN': -1.25,
    'process.temperature': null,
  });
  expect(rows[1]).toMatchObject({ verdict: null, 'error.code': 'IMAGE_UNREADABLE' });
  expect(rows[2]).toMatchObject({ imageKey: good.imageKey, severity: -3.5, 'classifier.weak': null });
  const { children } = parquetSchema(await parquetMetadataAsync(buffer));
  const types = Object.fromEntries(
    children.map(({ element }) => [element.name, element.converted_type ?? element.type]),
  );
  expect(types).toMatchObject({
    camera: 'UTF8',
    finishedAt: 'TIMESTAMP_MILLIS',
    severity: 'DOUBLE',
    'classifier.weak': 'BOOLEAN',
    'process.temperature': 'DOUBLE',
  });
  expect(children).toHaveLength(answer.columns);
});

test.each([
  [['--camera', 'line-2'], [good]],
  [['--verdict', 'anomalous'], [explained]],
  [
    ['--to', '2026-01-31'],
    [explained, broken],
  ],
  [['--from', '2026-02-01'], [good]],
  [['--from', '2026-01-31', '--to', '2026-02-01', '--verdict', 'good'], [good]],
  [['--from', '2026-02-02'], []],
])('%s leaves %#', async (args, expected) => {
  await put(explained, good, broken, other);
  expect(idsOf(await csvRows(...args))).toEqual(expected.map(({ inspectionId }) => inspectionId));
});

describe('where there is nothing to export', () => {
  test('CSV holds the names of the columns', async () => {
    expect(await csvRows()).toEqual([]);
    expect((await readFile(join(directory, 'out.csv'), 'utf8')).split(',').slice(0, 2)).toEqual([
      'inspectionId',
      'imageKey',
    ]);
  });

  test('Parquet holds the columns', async () => {
    const { file, answer } = await run('out.parquet');
    const buffer = await asyncBufferFromFile(file);
    expect(await parquetReadObjects({ file: buffer })).toEqual([]);
    expect(parquetSchema(await parquetMetadataAsync(buffer)).children).toHaveLength(answer.columns);
  });
});

test('a result that cannot be read is named, and the rest is written', async () => {
  await put(explained, good);
  await store.put(resultKey(broken.inspectionId), new TextEncoder().encode('{"schema": 1'));
  const { code, stderr, answer } = await run('out.csv');
  expect([code, answer]).toMatchObject([1, { rows: 2, unreadable: [{ inspectionId: broken.inspectionId }] }]);
  expect(stderr).toContain(`left out: ${broken.inspectionId}`);
});

test.each([
  ['out.xlsx', /Expected a file that ends in \.csv or \.parquet/],
  ['nowhere/out.csv', /Expected a folder that can be written to/],
])('%s is refused, and nothing is left behind', async (name, says) => {
  await writeFile(join(directory, 'out.csv'), 'before');
  const { code, stderr } = await run(name);
  expect(code).toBe(2);
  expect(stderr).toMatch(says);
  expect((await readdir(directory)).sort()).toEqual(['out.csv', 'store']);
  expect(await readFile(join(directory, 'out.csv'), 'utf8')).toBe('before');
});

test('rows beyond one group are all in the Parquet file', async () => {
  const { writeParquet } = await import('../../src/sinks/export/parquet.js');
  const { columnsWith } = await import('../../src/sinks/export/columns.js');
  const file = join(directory, 'many.parquet');
  async function* results() {
    for (let n = 0; n < 20_001; n++) yield { ...scoredResult, anomalyScore: n };
  }
  expect(await writeParquet(file, columnsWith([]), results())).toBe(20_001);
  const buffer = await asyncBufferFromFile(file);
  const rows = await parquetReadObjects({ file: buffer, columns: ['anomalyScore'] });
  expect(rows.map(({ anomalyScore }) => anomalyScore)).toEqual(Array.from({ length: 20_001 }, (_, n) => n));
  expect((await parquetMetadataAsync(buffer)).row_groups.map(({ num_rows }) => Number(num_rows))).toEqual([
    10_000, 10_000, 1,
  ]);
});
