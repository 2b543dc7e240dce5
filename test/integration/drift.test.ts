import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { DriftReport } from '../../src/cli/drift-lines.js';
import { type DriftMeasure, type DriftValues, driftMeasures, findDrift } from '../../src/history/drift.js';
import { driftReference } from '../../src/history/drift-reference.js';
import { writeRows } from '../../src/history/rows.js';
import { rowOf } from '../../src/history/schema.js';
import { type History, openOrCreateHistory } from '../../src/history/table.js';
import { bundleKey } from '../../src/shared/bundle.js';
import { createCompute } from '../../src/shared/compute.js';
import { loadConfig } from '../../src/shared/config.js';
import type { Scored, ScoredResult } from '../../src/shared/contracts.js';
import { createRandom } from '../../src/shared/kernels/random.js';
import { featureNames } from '../../src/shared/kernels/readable-features.js';
import { loadBundle } from '../../src/shared/loaded-bundle.js';
import { createScorer } from '../../src/shared/patchcore/scorer.js';
import { putJson } from '../../src/shared/store/object-store.js';
import { openStore } from '../../src/shared/store/open-store.js';
import { madeUpSampleArrays, writeMadeUpBundle } from '../helpers/bundle.js';
import { runHere } from '../helpers/command-line.js';
import { createFittedStore, type FittedStore } from '../helpers/fitted-store.js';
import { pastResult, vectorsOf } from '../helpers/past-inspections.js';
import { failedResult } from '../helpers/scored-result.js';

const vectors = vectorsOf(1);
let number = 0;
const rowsOf = (results: Partial<ScoredResult>[]) =>
  results.map((changes) => {
    const imageKey = `images/${++number}.jpg`;
    return rowOf(pastResult(number, { ...changes, imageKey, vectors }), undefined, new Date());
  });

describe('made-up numbers', () => {
  let directory: string;
  let history: History;
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'patchline-drift-'));
    history = await openOrCreateHistory(await openStore(directory));
  });
  afterAll(() => rm(directory, { recursive: true, force: true }));

  const random = createRandom(5);
  const normals = (length: number) => Array.from({ length }, random.normal);
  /** Good images have severities around 0 and features around their place in the row. */
  const reference: DriftValues = {
    anomaly_score: normals(400).map((value) => 2 + value / 10),
    severity: normals(400).map((value) => 30 * value),
    severity_of_good: normals(400).map((value) => 30 * value),
    ...(Object.fromEntries(
      featureNames.map((name, j) => [name, normals(400).map((value) => j + value)]),
    ) as unknown as Record<(typeof featureNames)[number], number[]>),
  };
  const features = (shift: number): Pick<ScoredResult, 'risk'> => ({
    risk: {
      ...{ probability: 0.1, baseValue: 0.1, agreesWithVerdict: true },
      features: featureNames.map((name, j) => ({
        ...{ name, usual: j, shap: 0 },
        value: j + random.normal() + (name === 'edge_density' ? shift : 0),
      })),
    },
  });
  interface Made {
    day: string;
    images: number;
    product: string;
    anomalous?: number;
    changes?: Partial<ScoredResult>;
    explained?: (verdict: 'good' | 'anomalous') => Partial<ScoredResult> | undefined;
  }
  const record = async ({ day, images, product, anomalous = 0, changes = {}, explained }: Made) => {
    const results = Array.from({ length: images }, (_, image): Partial<ScoredResult> => {
      const verdict = image < anomalous ? 'anomalous' : 'good';
      const severity = verdict === 'good' ? Math.min(99, 30 * random.normal()) : 200;
      const capturedAt = `${day}T${image % 2 === 0 ? '00:00:00.000' : '23:59:59.999'}Z`;
      return { product, capturedAt, verdict, severity, ...explained?.(verdict), ...changes };
    });
    await writeRows(history, rowsOf(results));
  };
  const find = (product: string, search = {}) => findDrift(history, { product, ...search }, async () => reference);
  const moved = (day: { measures: { measure: DriftMeasure; level: string }[] }) =>
    day.measures.filter(({ level }) => level === 'alarm').map(({ measure }) => measure);

  test('each day, camera and bundle version stands for itself, in order', async () => {
    await record({ product: 'order', day: '2026-02-10', images: 60 });
    await record({ product: 'order', day: '2026-02-09', images: 70, changes: { camera: 'line-2', bundle: 'v2' } });
    await record({ product: 'order', day: '2026-02-09', images: 80, changes: { bundle: 'v10' } });
    await record({ product: 'order', day: '2026-02-09', images: 90, changes: { bundle: 'v2' } });
    await record({ product: 'other', day: '2026-02-09', images: 50 });
    await writeRows(history, [rowOf({ ...failedResult, product: 'order' }, undefined, new Date())]);
    const asked: string[] = [];
    const { days, references } = await findDrift(history, { product: 'order' }, async (bundle) => {
      asked.push(bundle);
      return reference;
    });
    expect(days.map(({ date, camera, bundle, images }) => [date, camera, bundle, images])).toEqual([
      ['2026-02-09', 'line-1', 'v2', 90],
      ['2026-02-09', 'line-1', 'v10', 80],
      ['2026-02-09', 'line-2', 'v2', 70],
      ['2026-02-10', 'line-1', 'v1', 60],
    ]);
    expect(days.map(({ level }) => level)).toEqual(Array(4).fill('stable'));
    expect(asked.sort()).toEqual(['v1', 'v10', 'v2']);
    expect(references.map(({ images }) => images)).toEqual([400, 400, 400]);
    expect((await find('order', { camera: 'line-2' })).days).toHaveLength(1);
    expect((await find('order', { since: '2026-02-10' })).days).toHaveLength(1);
    expect(await find('nothing')).toEqual({ references: [], days: [] });
  });

  test('many defects move the severity of all images, not that of good ones', async () => {
    await record({ product: 'defects', day: '2026-02-09', images: 300, anomalous: 100 });
    const [day] = (await find('defects')).days;
    expect(day!.anomalous).toBe(100);
    expect(day!.level).toBe('alarm');
    expect(moved(day!)).toEqual(['severity']);
  });

  test('too few images raise no alarm, however far off', async () => {
    await record({ product: 'few', day: '2026-02-09', images: 49, anomalous: 49 });
    await record({ product: 'few', day: '2026-02-10', images: 50, anomalous: 50 });
    const { days } = await find('few');
    expect(days.map(({ level }) => level)).toEqual(['too few', 'alarm']);
    expect(days[0]!.measures[0]!.index).toBeGreaterThan(1);
  });

  test('what chance explains is no alarm, above 0.25 either', async () => {
    await record({ product: 'chance', day: '2026-02-09', images: 50 });
    const against = async (images: number) => {
      const fewer = { ...reference, severity: reference.severity.slice(0, images).map((value) => value - 20) };
      const [day] = (await findDrift(history, { product: 'chance' }, async () => fewer)).days;
      return day!.measures.find(({ measure }) => measure === 'severity')!;
    };
    const severity = await against(50);
    expect(severity.index).toBeGreaterThan(0.25);
    expect(severity.byChance).toBeGreaterThan(1);
    expect(severity.level).toBe('stable');
    expect((await against(49)).level).toBe('too few');
  });

  test('severities that lie lower than those of held-out images are no drift, lower features are', async () => {
    const narrower = () => ({ severity: 6 * random.normal() - 10 });
    const explained = () => ({ ...features(-0.8), ...narrower() });
    await record({ product: 'lower', day: '2026-02-09', images: 200, explained });
    const [day] = (await find('lower')).days;
    const severity = day!.measures.find(({ measure }) => measure === 'severity')!;
    expect(severity.index).toBeGreaterThan(1);
    expect(severity.above).toBeLessThan(0.5);
    expect(severity.level).toBe('stable');
    expect(moved(day!)).toEqual(['edge_density']);
  });

  test('features of good images are compared, those of flagged ones alone are not', async () => {
    await record({ product: 'all', day: '2026-02-09', images: 200, explained: () => features(0) });
    await record({ product: 'all', day: '2026-02-10', images: 200, anomalous: 2, explained: () => features(0.8) });
    const onlyFlagged = (verdict: string) => (verdict === 'anomalous' ? features(5) : undefined);
    await record({ product: 'all', day: '2026-02-11', images: 200, anomalous: 2, explained: onlyFlagged });
    const { days } = await find('all');
    expect(days.map(({ level }) => level)).toEqual(['stable', 'alarm', 'stable']);
    expect(moved(days[1]!)).toEqual(['edge_density']);
    expect(days.map(({ explained }) => explained)).toEqual([
      { good: 200, anomalous: 0 },
      { good: 198, anomalous: 2 },
      { good: 0, anomalous: 2 },
    ]);
    expect(days.map(({ measures }) => measures.length)).toEqual([driftMeasures.length, driftMeasures.length, 2]);
    const [edges] = days[1]!.measures.filter(({ measure }) => measure === 'edge_density');
    expect(edges!.images).toBe(198);
    expect(edges!.shares.reduce((sum, share) => sum + share)).toBeCloseTo(1);
    expect(edges!.quantiles[2]).toBeCloseTo(3.8, 0);
  });
});

describe('a camera that gets brighter', () => {
  const imagesOfADay = 50;
  let fitted: FittedStore;
  beforeAll(async () => {
    fitted = await createFittedStore(3 * imagesOfADay, 0);
    const store = await openStore(fitted.storeUrl);
    const bundle = await loadBundle(store, 'plate', 'v1');
    const compute = createCompute({ threads: 2 });
    const { score } = createScorer(compute, await loadConfig());
    const folder = join(fitted.images, 'test/good');
    const files = (await readdir(folder)).sort();
    const scoresAt = (light: number, day: number): Promise<Scored[]> =>
      Promise.all(
        files.slice(day * imagesOfADay, (day + 1) * imagesOfADay).map(async (name) => {
          const picture = await sharp(join(folder, name)).linear(light).png().toBuffer();
          return (await score(picture, bundle)).scored;
        }),
      );
    const [usual, alsoUsual, others] = await Promise.all([scoresAt(1, 0), scoresAt(1, 1), scoresAt(1, 2)]);
    const bright = await scoresAt(1.8, 0);
    await compute.close();
    // The bundle learned from too few images to compare with: it is given as many more.
    const good = others!.map(({ anomalyScore }) => anomalyScore);
    await putJson(store, bundleKey('plate', 'v1'), { ...bundle.bundle, heldOut: { good } });
    const days: [string, string, Scored[]][] = [
      ['line-1', '2026-02-01', usual],
      ['line-1', '2026-02-02', alsoUsual],
      ['line-1', '2026-02-03', usual],
      ['line-2', '2026-02-01', alsoUsual],
      ['line-2', '2026-02-02', usual],
      ['line-2', '2026-02-03', bright],
    ];
    const history = await openOrCreateHistory(store);
    for (const [camera, day, scored] of days) {
      const capturedAt = `${day}T08:00:00.000Z`;
      await writeRows(history, rowsOf(scored.map((each) => ({ ...each, camera, capturedAt }))));
    }
  });
  afterAll(() => fitted.remove());

  const run = (...args: string[]) =>
    runHere(['history', 'drift', '--product', 'plate', '--store', fitted.storeUrl, ...args]);

  test('raises an alarm on that day and camera, and on no other', async () => {
    const { code, stdout } = await run('--json');
    expect(code).toBe(0);
    const { product, alarms, days } = JSON.parse(stdout) as DriftReport;
    expect([product, alarms]).toEqual(['plate', 1]);
    expect(days.map(({ date, camera, images, level }) => [date, camera, images, level])).toEqual([
      ['2026-02-01', 'line-1', 50, 'stable'],
      ['2026-02-01', 'line-2', 50, 'stable'],
      ['2026-02-02', 'line-1', 50, 'stable'],
      ['2026-02-02', 'line-2', 50, 'stable'],
      ['2026-02-03', 'line-1', 50, 'stable'],
      ['2026-02-03', 'line-2', 50, 'alarm'],
    ]);
  });

  test('is told in a table, and shown in a report', async () => {
    const out = join(fitted.images, 'drift');
    const { code, stdout, stderr } = await run('--out', out);
    expect(code).toBe(0);
    expect(stdout).toMatch(/against held-out good images of v1 \(50\)/);
    expect(stdout).toMatch(/\n2026-02-03 {2}line-2 {2}v1 .* ALARM {2}\u2588{10} {2}.*severity/);
    expect(stdout).toMatch(/\n2026-02-03 {2}line-1 .* stable\n/);
    expect(stdout).toMatch(/\n1 alarm: /);
    expect(stderr).toContain(join(out, 'report.html'));
    const page = await readFile(join(out, 'report.html'), 'utf8');
    expect(page).not.toMatch(/<script|https?:|url\(|@import/);
    expect(page.match(/<td class="alarm">alarm<\/td>/g)).toHaveLength(1);
    const shown = [...page.matchAll(/(?:href|src)="([^"]*)"/g)].map(([, file]) => file!);
    expect(shown).toHaveLength(2 * 2 * 2 + 1);
    for (const file of shown) expect((await readFile(join(out, file))).length).toBeGreaterThan(100);
    expect(JSON.parse(await readFile(join(out, 'report.json'), 'utf8'))).toMatchObject({ alarms: 1 });
  });

  test('a wrong name is told, not taken for no drift', async () => {
    const { code, stderr } = await run('--product', 'plat');
    expect([code, stderr]).toEqual([1, expect.stringMatching(/^BUNDLE_NOT_FOUND: .*plat\n/)]);
    const { stdout } = await run('--camera', 'line-9', '--since', '2026-02-01');
    expect(stdout).toBe('no inspections of plate by line-9 since 2026-02-01 in the history\n');
  });
});

test('the reference is what a bundle keeps of its good images, those passed by the threshold for what only good ones have', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'patchline-drift-'));
  const store = await openStore(directory);
  const sampleArrays = madeUpSampleArrays();
  const bundle = await writeMadeUpBundle(store, { sampleArrays }); // median 1, threshold 2
  const heldOut = [1, 2, 1.5, 3, 0];
  const reference = await driftReference(store, bundle, heldOut);
  expect(reference.anomaly_score).toEqual(heldOut);
  expect(reference.severity).toEqual([0, 100, 50, 200, -100]);
  expect(reference.severity_of_good).toEqual([0, 50, -100]);
  const { data } = sampleArrays['sample-features'];
  expect(reference.edge_density).toEqual([data[3], data[13], data[23]]);
  const { sampleParts: _, ...older } = bundle;
  expect(await driftReference(store, older, heldOut)).toMatchObject({ edge_density: [], severity: reference.severity });
  await rm(directory, { recursive: true });
});

test('without a history it says what makes one', async () => {
  const fitted = await createFittedStore(0, 0);
  const { code, stderr } = await runHere(['history', 'drift', '--product', 'plate', '--store', fitted.storeUrl]);
  expect(code).toBe(1);
  expect(stderr).toMatch(/^HISTORY_UNAVAILABLE: .*patchline history rebuild/);
  await fitted.remove();
});
