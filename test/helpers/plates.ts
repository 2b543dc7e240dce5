import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import sharp, { type Sharp } from 'sharp';
import { createRandom } from '../../src/shared/kernels/random.js';

/** Pictures of a brushed plate with a hole, as a camera would take them: light, place and noise vary with the seed. */
export const plateSize = { height: 120, width: 180 };

/** [x, y, width, height] of the scratch, in pixels. */
export const scratchBox = [120, 60, 40, 6] as const;

export function platePixels(seed: number, { scratched = false } = {}): Uint8Array {
  const random = createRandom(seed);
  const light = 120 + 20 * random.uniform();
  const [shiftX, shiftY] = [2 * random.normal(), 2 * random.normal()];
  const { height, width } = plateSize;
  return Uint8Array.from({ length: height * width }, (_, i) => {
    const [y, x] = [Math.floor(i / width), i % width];
    const inHole = Math.hypot(x - 60 - shiftX, y - 60 - shiftY) < 20;
    const brushed = 10 * Math.sin((y + shiftY) / 2) + 4 * random.normal();
    const inScratch = scratched && isInScratch(x, y);
    return Math.min(Math.max(light * (inHole ? 0.3 : 1) + brushed - (inScratch ? 60 : 0), 0), 255);
  });
}

function isInScratch(x: number, y: number): boolean {
  const [left, top, width, height] = scratchBox;
  return x >= left && x < left + width && y >= top && y < top + height;
}

const image = (pixels: Uint8Array): Sharp => sharp(pixels, { raw: { ...plateSize, channels: 1 } }).toColourspace('b-w');

export const plateJpeg = (seed: number, options?: { scratched: boolean }): Promise<Buffer> =>
  image(platePixels(seed, options)).jpeg({ quality: 92 }).toBuffer();

export const platePng = (seed: number): Promise<Buffer> => image(platePixels(seed)).png().toBuffer();

const scratchMask = (): Promise<Buffer> => {
  const { height, width } = plateSize;
  const inside = (i: number) => isInScratch(i % width, Math.floor(i / width));
  return image(Uint8Array.from({ length: height * width }, (_, i) => (inside(i) ? 255 : 0)))
    .png()
    .toBuffer();
};

/** Writes plates in the layout of MVTec AD: train/good, test/good, test/scratch and ground_truth/scratch. */
export async function writePlates(folder: string, { train, test }: { train: number; test: number }): Promise<void> {
  for (const name of ['train/good', 'test/good', 'test/scratch', 'ground_truth/scratch']) {
    await mkdir(join(folder, name), { recursive: true });
  }
  const number = (index: number) => String(index).padStart(3, '0');
  for (let index = 0; index < train; index++) {
    await writeFile(join(folder, `train/good/${number(index)}.jpg`), await plateJpeg(index));
  }
  for (let index = 0; index < test; index++) {
    await writeFile(join(folder, `test/good/${number(index)}.jpg`), await plateJpeg(1000 + index));
    await writeFile(
      join(folder, `test/scratch/${number(index)}.jpg`),
      await plateJpeg(2000 + index, { scratched: true }),
    );
    await writeFile(join(folder, `ground_truth/scratch/${number(index)}_mask.png`), await scratchMask());
  }
}
