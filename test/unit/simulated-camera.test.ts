import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { describe, expect, test } from 'vitest';
import {
  atPace,
  defectTypes,
  type SimulatedImage,
  simulatedImage,
  simulateLine,
  simulatePart,
  writeSimulatedDataset,
} from '../../src/producer/simulated-camera.js';
import { decodeImage, readSize } from '../../src/shared/image.js';
import { sha256 } from '../../src/shared/keys.js';

const area = 480 * 640;
const limits = { maxImageBytes: 1_000_000 };
const count = (values: Uint8Array, wanted: (value: number, index: number) => boolean): number =>
  values.reduce((sum, value, i) => sum + (wanted(value, i) ? 1 : 0), 0);

async function lineOf(options: { seed: number; images: number; defectRate?: number }): Promise<SimulatedImage[]> {
  const images: SimulatedImage[] = [];
  for await (const image of simulateLine(options)) images.push(image);
  return images;
}

test.each([null, ...defectTypes])('%s: the same seed and index give the same bytes, others do not', async (defect) => {
  const digest = async (seed: number, index: number) => sha256((await simulatedImage(seed, index, defect)).bytes);
  const first = await digest(3, 4);
  expect(await digest(3, 4)).toBe(first);
  expect(await digest(4, 3)).not.toBe(first);
  expect(await digest(3, 5)).not.toBe(first);
});

describe.each(defectTypes)('%s', (type) => {
  test.each([0, 1, 2, 3])('part %i differs from its good twin exactly in the mask', (index) => {
    const { pixels, mask, height, width } = simulatePart(11, index, type);
    const twin = simulatePart(11, index, null);
    expect(twin.mask).toBeNull();
    expect([height, width, pixels.length, mask!.length]).toEqual([480, 640, 3 * area, area]);
    const damaged = count(mask!, (value) => value === 255);
    expect(count(mask!, (value) => value === 0)).toBe(area - damaged);
    const change = new Uint8Array(area);
    for (let i = 0; i < 3 * area; i++) {
      const pixel = Math.floor(i / 3);
      change[pixel] = Math.max(change[pixel]!, Math.abs(pixels[i]! - twin.pixels[i]!));
    }
    expect(count(mask!, (value, i) => value === 0 && change[i]! > 0)).toBe(0);
    expect(count(mask!, (value, i) => value === 255 && change[i]! > 0) / damaged).toBeGreaterThan(0.85);
    // Small to medium, and strong enough to be seen: ten grey levels somewhere
    expect(damaged).toBeGreaterThan(40);
    expect(damaged).toBeLessThan(0.03 * area);
    expect(count(mask!, (value, i) => value === 255 && change[i]! >= 10)).toBeGreaterThan(20);
  });
});

test('good parts vary by more than a weak defect changes', () => {
  const parts = [0, 1, 2, 3, 4, 5].map((index) => simulatePart(5, index, null).pixels);
  const brightness = parts.map((pixels) => pixels.reduce((sum, value) => sum + value, 0) / pixels.length);
  expect(Math.max(...brightness) - Math.min(...brightness)).toBeGreaterThan(4);
  const [one, other] = [parts[0]!, parts[1]!];
  const difference = one.reduce((sum, value, i) => sum + Math.abs(value - other[i]!), 0) / one.length;
  expect(difference).toBeGreaterThan(5);
});

test('an image is a JPEG of the stated size with the picture of its part', async () => {
  const { name, bytes, mask, defect } = await simulatedImage(1, 42, 'dent');
  expect({ name, defect, pixels: mask!.length }).toEqual({ name: 'part-00042.jpg', defect: 'dent', pixels: area });
  expect(await readSize(bytes)).toEqual({ height: 480, width: 640, format: 'jpeg' });
  const { pixels } = await decodeImage(bytes, { height: 480, width: 640 }, limits);
  const part = simulatePart(1, 42, 'dent').pixels;
  const difference = pixels.reduce((sum, value, i) => sum + Math.abs(value - part[i]!), 0) / part.length;
  expect(difference).toBeLessThan(4);
  expect((await simulatedImage(1, 42, null)).mask).toBeUndefined();
});

describe('simulateLine', () => {
  test('a third is damaged by default, all types in turn, at irregular places', async () => {
    const line = await lineOf({ seed: 7, images: 21 });
    const defects = line.flatMap(({ defect }) => (defect ? [defect] : []));
    expect(defects).toEqual(Array.from({ length: 7 }, (_, i) => defectTypes[i % 5]));
    const places = line.flatMap(({ defect }, i) => (defect ? [i] : []));
    expect(new Set(places.slice(1).map((place, i) => place - places[i]!)).size).toBeGreaterThan(1);
    expect(new Set(line.map(({ name }) => name)).size).toBe(21);
    expect(line.filter(({ mask }) => mask).length).toBe(7);
  });

  test.each([
    [0, 0],
    [0.25, 2],
    [1, 8],
  ])('a rate of %d of 8 images gives %i damaged ones', async (defectRate, damaged) => {
    const line = await lineOf({ seed: 1, images: 8, defectRate });
    expect(line.length).toBe(8);
    expect(line.filter(({ defect }) => defect).length).toBe(damaged);
  });

  test('the same seed gives the same line, another seed another', async () => {
    const digests = async (seed: number) => (await lineOf({ seed, images: 4 })).map(({ bytes }) => sha256(bytes));
    expect(await digests(2)).toEqual(await digests(2));
    expect(await digests(2)).not.toEqual(await digests(3));
  });
});

test('a data set has the MVTec layout, a mask for each damaged image and no image twice, nor one of the line', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'simulated-'));
  try {
    await writeSimulatedDataset(directory, { seed: 2, train: 3, good: 2, perDefect: 1 });
    const files = (await readdir(directory, { recursive: true, withFileTypes: true })).filter((entry) =>
      entry.isFile(),
    );
    const paths = files.map((entry) => join(entry.parentPath, entry.name).slice(directory.length + 1)).sort();
    const damaged = defectTypes.map((type, i) => [type, `part-0000${5 + i}`] as const);
    const expected = [
      ...[0, 1, 2].map((i) => `train/good/part-0000${i}.jpg`),
      ...[3, 4].map((i) => `test/good/part-0000${i}.jpg`),
      ...damaged.flatMap(([type, name]) => [`test/${type}/${name}.jpg`, `ground_truth/${type}/${name}.png`]),
    ];
    expect(paths).toEqual(expected.sort());

    const images = await Promise.all(
      paths.filter((path) => path.endsWith('jpg')).map((path) => readFile(join(directory, path))),
    );
    const line = await lineOf({ seed: 2, images: 5, defectRate: 0 });
    expect(new Set([...images, ...line.map(({ bytes }) => bytes)].map(sha256)).size).toBe(images.length + line.length);

    const truth = await sharp(join(directory, 'ground_truth/pit/part-00006.png')).toColourspace('b-w').raw().toBuffer();
    expect(Buffer.compare(truth, simulatePart(2, 6, 'pit').mask!)).toBe(0);
  } finally {
    await rm(directory, { recursive: true });
  }
});

test('a camera sends bursts at their times, in order, and what is left at the end', async () => {
  async function* numbers(count: number) {
    for (let i = 0; i < count; i++) yield i;
  }
  const startedAt = performance.now();
  const sent: number[] = [];
  for await (const number of atPace(numbers(11), { rate: 200, burst: 4 })) {
    sent.push(number);
    const dueMs = (1_000 * 4 * Math.floor(number / 4)) / 200;
    expect(performance.now() - startedAt).toBeGreaterThanOrEqual(dueMs - 2); // a timer may be a millisecond early
  }
  expect(sent).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
});
