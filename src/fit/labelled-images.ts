import { readdir, readFile } from 'node:fs/promises';
import { join, parse } from 'node:path';
import sharp from 'sharp';
import { messageOf, PatchlineError } from '../shared/errors.js';
import type { Size } from '../shared/patchcore/patch-vectors.js';
import { isImageName } from './training-images.js';

/** Images with labels in the layout of MVTec AD: test/good, test/<defect>, and masks in ground_truth/<defect>. */
export interface LabelledImage {
  /** Path below the folder. */
  name: string;
  path: string;
  /** Kind of defect; null for a good image. */
  defect: string | null;
  /** File that marks the defect's pixels, undefined where there is none. */
  maskPath?: string;
}

/** Error: DATASET_INVALID where there is no image under test/. */
export async function labelledImages(directory: string): Promise<LabelledImage[]> {
  const folders = (await namesIn(join(directory, 'test'))).filter((name) => !name.startsWith('.'));
  const images: LabelledImage[] = [];
  for (const folder of folders) {
    const masks = new Set(await namesIn(join(directory, 'ground_truth', folder)));
    for (const file of (await namesIn(join(directory, 'test', folder))).filter(isImageName)) {
      const { name: stem } = parse(file);
      const mask = [`${stem}.png`, `${stem}_mask.png`].find((name) => masks.has(name));
      images.push({
        name: `test/${folder}/${file}`,
        path: join(directory, 'test', folder, file),
        defect: folder === 'good' ? null : folder,
        maskPath: mask && join(directory, 'ground_truth', folder, mask),
      });
    }
  }
  if (images.length > 0) return images;
  throw new PatchlineError(
    'DATASET_INVALID',
    `Expected images in test/good and test/<defect> of ${directory} but found none`,
  );
}

/** Names in a folder, in order; none where there is no such folder. */
async function namesIn(folder: string): Promise<string[]> {
  try {
    return (await readdir(folder)).sort();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return [];
    throw error;
  }
}

/** The defect's pixels at model size (H, W), 1 inside; nearest samples, since a mask has no values between. */
export async function readMask(path: string, { height, width }: Size): Promise<Uint8Array> {
  const bytes = await readFile(path);
  const samples = await sharp(bytes)
    .resize({ height, width, fit: 'fill', kernel: 'nearest' })
    .removeAlpha()
    .toColourspace('b-w')
    .raw()
    .toBuffer()
    .catch((cause: unknown) => {
      throw new PatchlineError('DATASET_INVALID', `Expected a mask in ${path} but ${messageOf(cause)}`, { cause });
    });
  return Uint8Array.from(samples, (value) => (value > 0 ? 1 : 0));
}
