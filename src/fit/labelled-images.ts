import { readdir, readFile } from 'node:fs/promises';
import { join, parse } from 'node:path';
import sharp from 'sharp';
import type { Warning } from '../shared/contracts.js';
import { messageOf, PatchlineError } from '../shared/errors.js';
import type { Size } from '../shared/patchcore/patch-vectors.js';
import { aspectTolerance } from '../shared/patchcore/scorer.js';
import { isImageName } from './training-images.js';

/** Images with labels in the layout of MVTec AD: test/good, test/<defect>, and masks in ground_truth/<defect>. */
export interface LabelledImage {
  /** Path below the folder. */
  name: string;
  path: string;
  /** Kind of defect; null for a good image. */
  defect: string | null;
  /** File that marks the defect's pixels, undefined where there is none; a good image never has one. */
  maskPath?: string;
}

export interface LabelledSet {
  images: LabelledImage[];
  /** Masks that belong to no image, and defects without a mask beside others that have one. */
  warnings: Warning[];
}

/** Error: DATASET_INVALID where there is no image under test/. */
export async function labelledImages(directory: string): Promise<LabelledSet> {
  const masks = await masksBelow(directory);
  const images: LabelledImage[] = [];
  for (const folder of await namesIn(join(directory, 'test'))) {
    for (const file of (await namesIn(join(directory, 'test', folder))).filter(isImageName)) {
      const mask = `${folder}/${parse(file).name}`;
      const maskPath = [`${mask}.png`, `${mask}_mask.png`].find((path) => masks.delete(path));
      const name = `test/${folder}/${file}`;
      images.push({
        name,
        path: join(directory, name),
        defect: folder === 'good' ? null : folder,
        maskPath: maskPath && folder !== 'good' ? join(directory, 'ground_truth', maskPath) : undefined,
      });
    }
  }
  if (images.length > 0) return { images, warnings: warningsOf(images, [...masks]) };
  throw new PatchlineError(
    'DATASET_INVALID',
    `Expected images in test/good and test/<defect> of ${directory} but found none`,
  );
}

/** Paths below ground_truth/. */
async function masksBelow(directory: string): Promise<Set<string>> {
  const paths: string[] = [];
  for (const folder of await namesIn(join(directory, 'ground_truth'))) {
    const files = await namesIn(join(directory, 'ground_truth', folder));
    paths.push(...files.filter(isImageName).map((file) => `${folder}/${file}`));
  }
  return new Set(paths);
}

function warningsOf(images: readonly LabelledImage[], strayMasks: readonly string[]): Warning[] {
  const defects = images.filter(({ defect }) => defect !== null);
  const bare = defects.filter(({ maskPath }) => maskPath === undefined).map(({ name }) => name);
  const warnings: Warning[] = [];
  if (bare.length > 0 && bare.length < defects.length) {
    const message = `${bare.length} of ${defects.length} defective images have no mask and stay out of the figures for pixels: ${someOf(bare)}`;
    warnings.push({ code: 'IMAGE_WITHOUT_MASK', message });
  }
  if (strayMasks.length > 0) {
    const message = `${strayMasks.length} masks in ground_truth belong to no image, whose name would be test/<defect>/<name> for a mask <defect>/<name>.png or <name>_mask.png: ${someOf(strayMasks)}`;
    warnings.push({ code: 'MASK_WITHOUT_IMAGE', message });
  }
  return warnings;
}

/** The first of many names. */
export const someOf = (names: readonly string[]): string =>
  names.slice(0, 5).join(', ') + (names.length > 5 ? `, and ${names.length - 5} more` : '');

/** Names in a folder that are not hidden, in order; none where there is no such folder. */
async function namesIn(folder: string): Promise<string[]> {
  try {
    return (await readdir(folder)).filter((name) => !name.startsWith('.')).sort();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return [];
    throw error;
  }
}

/**
 * The defect's pixels at model size (H, W), 1 inside; nearest samples, since a mask has no values between. `original` is the
 * size of the upright image that it belongs to. Error: DATASET_INVALID for another shape, or no image.
 */
export async function readMask(path: string, { height, width }: Size, original: Size): Promise<Uint8Array> {
  try {
    const mask = sharp(await readFile(path));
    assertShape(path, await mask.metadata(), original);
    const samples = await mask
      .resize({ height, width, fit: 'fill', kernel: 'nearest' })
      .removeAlpha()
      .toColourspace('b-w')
      .raw()
      .toBuffer();
    return Uint8Array.from(samples, (value) => (value > 0 ? 1 : 0));
  } catch (cause) {
    if (cause instanceof PatchlineError) throw cause;
    throw new PatchlineError('DATASET_INVALID', `Expected a mask in ${path} but ${messageOf(cause)}`, { cause });
  }
}

/** A mask may be smaller than its image, not of another shape: it would mark other pixels than the defect's. */
function assertShape(path: string, mask: Size, original: Size): void {
  const stretch = mask.width / mask.height / (original.width / original.height);
  if (Math.abs(stretch - 1) <= aspectTolerance) return;
  throw new PatchlineError(
    'DATASET_INVALID',
    `Expected ${path} in the shape of its image, ${original.width} x ${original.height} pixels, but received ${mask.width} x ${mask.height}`,
  );
}
