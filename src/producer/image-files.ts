import { readdir, stat } from 'node:fs/promises';
import { basename, extname, join } from 'node:path';
import { PatchlineError } from '../shared/errors.js';
import { sidecarNamesOf } from './process-sidecar.js';

/** Among them kinds that are refused later: a failed result that says why is better than an image left out without a word. */
const extensions = new Set(['.jpg', '.jpeg', '.png', '.tif', '.tiff', '.webp', '.bmp', '.jp2']);

/** Whether a file or object of this name is taken for an image; hidden ones are not. */
export const isImageName = (path: string): boolean =>
  !basename(path).startsWith('.') && extensions.has(extname(path).toLowerCase());

export interface ImageFiles {
  /** Paths in ascending order, each beginning with the directory as it was given. */
  files: string[];
  /** Hidden and other files left out, sidecars of images not among them; a hidden directory is not entered and counts once. */
  skipped: number;
}

/**
 * The image files below a directory at any depth, by their extension in any case. A link to a file is taken, one to a
 * directory is not followed. A single file is taken whatever its extension. Errors: IMAGE_NOT_FOUND where there is neither.
 */
export async function listImageFiles(path: string): Promise<ImageFiles> {
  const found = await stat(path).catch((cause: unknown) => {
    throw new PatchlineError('IMAGE_NOT_FOUND', `Expected an image file or a directory but cannot open ${path}`, {
      cause,
    });
  });
  if (!found.isDirectory()) return { files: [path], skipped: 0 };
  const images: ImageFiles = { files: [], skipped: 0 };
  await collect(path, images);
  images.files.sort();
  return images;
}

async function collect(directory: string, images: ImageFiles): Promise<void> {
  const others = new Set<string>();
  const sidecars: string[] = [];
  for (const entry of await readdir(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name);
    const isFile = entry.isFile() || entry.isSymbolicLink();
    if (entry.isDirectory() && !entry.name.startsWith('.')) await collect(path, images);
    else if (isFile && isImageName(path)) {
      images.files.push(path);
      sidecars.push(...sidecarNamesOf(path));
    } else others.add(path);
  }
  for (const sidecar of sidecars) others.delete(sidecar);
  images.skipped += others.size;
}
