import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ScoredResult } from '../../src/shared/contracts.js';
import { quantile } from '../../src/shared/kernels/quantile.js';
import { anomalyMapKey, gradcamKey, inspectionIdOf, overlayKey, resultKey } from '../../src/shared/keys.js';
import { readNpy, writeNpy } from '../../src/shared/npy.js';
import { type ObjectStore, putJson } from '../../src/shared/store/object-store.js';
import { openStore } from '../../src/shared/store/open-store.js';
import { expectClose, float32 } from '../helpers/arrays.js';
import { writeMadeUpBundle } from '../helpers/bundle.js';
import { runHere } from '../helpers/command-line.js';
import { failedResult, scoredResult } from '../helpers/scored-result.js';

const [H, W] = [8, 12];
let folder: string;
let store: ObjectStore;
let made = 0;

const place = () => join(folder, `out-${made++}`);

/** Anomaly maps by camera, in the order of their inspections. */
const stored: Record<string, Float32Array[]> = { 'line-1': [], 'line-2': [] };

async function storeInspection(
  n: number,
  {
    explained = true,
    size = [H, W],
    ...changes
  }: Partial<ScoredResult> & { explained?: boolean; size?: number[] } = {},
): Promise<Float32Array> {
  const result = { ...scoredResult, capturedAt: `2026-01-${String(10 + n)}T08:00:00.000Z`, ...changes };
  const inspectionId = inspectionIdOf(`images/${n}`, result.product, result.bundle, result.capturedAt);
  const anomalyMap = anomalyMapKey(inspectionId);
  const gradcam = gradcamKey(inspectionId);
  const map = float32(size[0]! * size[1]!, (p) => Math.sin(p * (n + 1)) + n / 10);
  if (explained) {
    await store.put(anomalyMap, writeNpy({ dtype: 'float32', shape: size, data: map }));
    await store.put(gradcam, writeNpy({ dtype: 'float32', shape: [2, 3], data: map.slice(0, 6) }));
  }
  const artefacts = { overlay: overlayKey(inspectionId), anomalyMap, gradcam };
  await putJson(store, resultKey(inspectionId), { ...result, inspectionId, ...(explained && { artefacts }) });
  return map;
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'patchline-quantiles-'));
  store = await openStore(join(folder, 'store'));
  await writeMadeUpBundle(store);
  const picture = sharp({ create: { width: 96, height: 64, channels: 3, background: '#808080' } });
  await store.put(scoredResult.nearestNormal.trainingImage, await picture.jpeg().toBuffer());
  for (let n = 0; n < 7; n++) stored['line-1']!.push(await storeInspection(n));
  for (let n = 7; n < 10; n++) stored['line-2']!.push(await storeInspection(n, { camera: 'line-2' }));
  await storeInspection(10, { explained: false, verdict: 'good' });
  await storeInspection(11, { product: 'other', bundle: 'v4' });
  await storeInspection(12, { product: 'mixed' });
  await storeInspection(13, { product: 'mixed', size: [4, 4] });
  await storeInspection(14, { product: 'calm', explained: false });
  await putJson(store, resultKey(failedResult.inspectionId), failedResult);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function quantilesOf(...args: string[]) {
  const out = place();
  const words = ['quantiles', '--store', join(folder, 'store'), '--out', out, '--json', ...args];
  const { code, stdout, stderr } = await runHere(words);
  return { code, stderr, out, answer: JSON.parse(stdout) };
}

/** What NumPy gives at each pixel. */
const wanted = (maps: readonly Float32Array[], quantiles: readonly number[]) =>
  quantiles.flatMap((q) =>
    Array.from(maps[0]!.keys(), (p) =>
      quantile(
        maps.map((map) => map[p]!),
        q,
      ),
    ),
  );

describe('quantiles', () => {
  test('are those of the maps of each camera, apart from other products and from what has no map', async () => {
    const { code, out, answer } = await quantilesOf('--product', 'plate');
    expect(code).toBe(0);
    expect(answer).toMatchObject({ product: 'plate', map: 'anomaly', quantiles: [0.25, 0.5, 0.75] });
    expect(answer.bins).toBeUndefined();
    const groups = answer.groups.map(({ camera, bundle, maps, height, width }: Record<string, unknown>) => [
      ...[camera, bundle, maps, height, width],
    ]);
    expect(groups).toEqual([
      ['line-1', 'v1', 7, H, W],
      ['line-2', 'v1', 3, H, W],
    ]);
    for (const [camera, maps] of Object.entries(stored)) {
      const { data, shape } = readNpy(await readFile(join(out, camera, 'v1', 'quantiles.npy')));
      expect(shape).toEqual([3, H, W]);
      expectClose(data as Float32Array, wanted(maps, [0.25, 0.5, 0.75]), { atol: 1e-6 }, camera);
    }
    const { data } = readNpy(await readFile(join(out, 'line-1', 'v1', 'quantiles.npy')));
    const [{ value, x, y }] = answer.groups[0].largest;
    expect(value).toBe((data as Float32Array)[y * W + x]);
    expect(value).toBe(Math.max(...(data as Float32Array).subarray(0, H * W)));
  });

  test('of one camera since a date, at the quantiles asked for', async () => {
    const args = ['--camera', 'line-1', '--since', '2026-01-13', '--quantiles', '0,1'];
    const { out, answer } = await quantilesOf('--product', 'plate', ...args);
    expect(answer.groups).toHaveLength(1);
    expect(answer.groups[0].maps).toBe(4);
    const { data } = readNpy(await readFile(join(out, 'line-1', 'v1', 'quantiles.npy')));
    expectClose(data as Float32Array, wanted(stored['line-1']!.slice(3), [0, 1]), { atol: 1e-6 });
  });

  test('by histograms lie within half a bin of the exact ones', async () => {
    const args = ['--product', 'plate', '--camera', 'line-1', '--map', 'gradcam'];
    const exact = await quantilesOf(...args);
    const byBins = await quantilesOf(...args, '--bins', '50');
    expect(byBins.answer).toMatchObject({ bins: 50, groups: [{ height: 2, width: 3, maps: 7 }] });
    const read = async (out: string) =>
      readNpy(await readFile(join(out, 'line-1', 'v1', 'quantiles.npy'))).data as Float32Array;
    expectClose(await read(byBins.out), await read(exact.out), { atol: 0.5 * (2.7 / 50) });
    expectClose(
      await read(exact.out),
      wanted(
        stored['line-1']!.map((map) => map.slice(0, 6)),
        [0.25, 0.5, 0.75],
      ),
      { atol: 1e-6 },
    );
  });

  test.each(['anomaly', 'gradcam'])('are drawn over a good part: %s', async (map) => {
    const { answer } = await quantilesOf('--product', 'plate', '--map', map, '--quantiles', '0.1,0.5,0.75,0.9');
    const [, picture] = answer.groups[0].files;
    const { width, height } = await sharp(picture).metadata();
    // Four panels of 320 x 213 in two rows.
    expect(width).toBe(2 * 16 + 3 * 320 + 2 * 16);
    expect(height).toBeGreaterThan(2 * 213);
    const { channels } = await sharp(picture).extract({ left: 16, top: 114, width: 320, height: 213 }).stats();
    expect(Math.max(...channels.map(({ stdev }) => stdev))).toBeGreaterThan(5);
  });

  test('are told in lines for people', async () => {
    const words = ['quantiles', '--store', join(folder, 'store'), '--product', 'plate', '--out', place()];
    const { stdout } = await runHere([...words, '--camera', 'line-2', '--quantiles', '0.5']);
    expect(stdout).toMatch(
      /^line-2, v1: 3 maps of 8 x 12 \(height x width\)\n {2}quantile 0.5: at most [\d.]+, at x \d+, y \d+ of the map\n {2}wrote .*quantiles.npy\n {2}wrote .*quantiles.png\n$/,
    );
  });

  test('refuse maps of two sizes by name', async () => {
    const { code, answer } = await quantilesOf('--product', 'mixed');
    expect([code, answer.error.code]).toEqual([1, 'SHAPE_MISMATCH']);
    expect(answer.error.message).toMatch(
      /Expected 8 x 12 values \(height x width\), as in inspections\/2026-01-22\/.*, for inspections\/2026-01-23\/.* received 4 x 4/,
    );
  });

  test('say why there are none', async () => {
    const none = await quantilesOf('--product', 'calm');
    expect([none.code, none.answer.error.code]).toEqual([1, 'MAPS_NOT_FOUND']);
    expect(none.answer.error.message).toMatch(/none of 1 has one: by the policy flagged only anomalous images/);
    const later = await quantilesOf('--product', 'plate', '--since', '2027-01-01');
    expect(later.answer.error.message).toBe(
      'Expected inspections of plate since 2027-01-01 with an anomaly map but there are no inspections',
    );
  });
});
