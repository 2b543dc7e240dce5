import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import sharp from 'sharp';
import { encodePng } from '../shared/image.js';
import { seededRandom } from './seeded-noise.js';
import { type DefectType, defectTypes, drawDefect } from './simulated-defects.js';
import { drawPose, partImage, renderPart } from './simulated-part.js';

export { type DefectType, defectTypes } from './simulated-defects.js';

export interface SimulatedPart {
  /** (H, W, 3) uint8. */
  pixels: Uint8Array;
  /** (H, W), 255 where the part is damaged and 0 elsewhere; null for a good part. */
  mask: Uint8Array | null;
  height: number;
  width: number;
}

export interface SimulatedImage {
  name: string;
  /** JPEG, quality 92. */
  bytes: Buffer;
  /** (H, W), 255 where the part is damaged; absent for a good part. */
  mask?: Uint8Array;
  defect: DefectType | null;
}

/** What is drawn from the same seed and index without touching another: the part as made, and what went wrong with it. */
const streams = { part: 1, defect: 2, line: 3 } as const;

/**
 * A ground metal plate with two holes on a conveyor belt, 480 x 640 (height x width). The same seed, index and defect give
 * the same bytes; the same seed and index with and without a defect give the same part.
 */
export function simulatePart(seed: number, index: number, defect: DefectType | null): SimulatedPart {
  const random = seededRandom(seed, index, streams.part);
  const pose = drawPose(random);
  const layer = defect && drawDefect(defect, seededRandom(seed, index, streams.defect), pose);
  return { pixels: renderPart(random, pose, layer), mask: layer?.mask ?? null, ...partImage };
}

/** A simulated part as a camera sends it. */
export async function simulatedImage(seed: number, index: number, defect: DefectType | null): Promise<SimulatedImage> {
  const { pixels, mask, height, width } = simulatePart(seed, index, defect);
  const bytes = await sharp(pixels, { raw: { height, width, channels: 3 } })
    .jpeg({ quality: 92 })
    .toBuffer();
  const name = `part-${String(index).padStart(5, '0')}.jpg`;
  return { name, bytes, defect, ...(mask && { mask }) };
}

/** Parts of a line are others than those of a data set of the same seed, which a bundle may have been fitted on. */
const firstOnLine = 50_000;

/**
 * A production line: `images` parts of which the share `defectRate` (default a third) is damaged, at seeded places, with
 * the types of defect in turn.
 */
export async function* simulateLine({
  seed,
  images,
  defectRate = 1 / 3,
}: {
  seed: number;
  images: number;
  defectRate?: number;
}): AsyncGenerator<SimulatedImage> {
  const random = seededRandom(seed, streams.line);
  const damaged = Math.round(images * defectRate);
  for (let n = 0, taken = 0; n < images; n++) {
    const isDamaged = random() * (images - n) < damaged - taken;
    yield simulatedImage(seed, firstOnLine + n, isDamaged ? defectTypes[taken++ % defectTypes.length]! : null);
  }
}

/** How a camera sends: so many images a second in the mean, in bursts of so many at once. */
export interface Pace {
  rate: number;
  burst: number;
}

/** Yields images when they are due: a whole burst at a time, made beforehand. What takes them slowly gets them late, none is lost. */
export async function* atPace<T>(images: AsyncIterable<T>, { rate, burst }: Pace): AsyncGenerator<T> {
  const startedAt = performance.now();
  let sent = 0;
  let ready: T[] = [];
  const due = () => sleep(Math.max(0, startedAt + (1000 * sent) / rate - performance.now()));
  for await (const image of images) {
    ready.push(image);
    if (ready.length < burst) continue;
    await due();
    yield* ready;
    sent += burst;
    ready = [];
  }
  await due();
  yield* ready;
}

/**
 * Writes a data set in MVTec layout: train/good, test/good, test/<defect> and ground_truth/<defect>, where a mask is a PNG
 * of the same name as its image. No part occurs twice.
 */
export async function writeSimulatedDataset(
  directory: string,
  { seed, train, good, perDefect }: { seed: number; train: number; good: number; perDefect: number },
): Promise<void> {
  const folders = [
    { path: 'train/good', count: train, defect: null },
    { path: 'test/good', count: good, defect: null },
    ...defectTypes.map((defect) => ({ path: `test/${defect}`, count: perDefect, defect })),
  ];
  let index = 0;
  for (const { path, count, defect } of folders) {
    const truth = defect && join(directory, 'ground_truth', defect);
    await mkdir(join(directory, path), { recursive: true });
    if (truth) await mkdir(truth, { recursive: true });
    for (let n = 0; n < count; n++) {
      const { name, bytes, mask } = await simulatedImage(seed, index++, defect);
      await writeFile(join(directory, path, name), bytes);
      if (truth && mask)
        await writeFile(join(truth, name.replace(/jpg$/, 'png')), await encodePng(mask, { ...partImage, channels: 1 }));
    }
  }
}
