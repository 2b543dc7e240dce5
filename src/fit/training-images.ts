import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { PatchlineError } from '../shared/errors.js';
import { listAll, type ObjectStore } from '../shared/store/object-store.js';

/** An image to learn from. */
export interface TrainingSource {
  /** What the bundle calls it: its path below the folder, or its key. */
  name: string;
  read(): Promise<Uint8Array>;
}

const imageName = /\.(jpe?g|png|tiff?|webp|bmp|jp2)$/i;
const isHidden = (path: string) => path.split('/').some((segment) => segment.startsWith('.'));
export const isImageName = (path: string): boolean => imageName.test(path) && !isHidden(path);

/**
 * The good images of a folder: those in train/good/, else those that lie directly in it; test/ and ground_truth/ are never
 * read. Error: DATASET_INVALID.
 */
export async function directoryImages(directory: string): Promise<TrainingSource[]> {
  const paths = (await listDirectory(directory, 'train/good')) ?? (await listDirectory(directory, '.'));
  return sourcesOf(paths ?? [], directory, (path) => readFile(join(directory, path)));
}

/** Names of the files in a folder of `directory`; undefined where there is no such folder. */
async function listDirectory(directory: string, folder: string): Promise<string[] | undefined> {
  try {
    const entries = await readdir(join(directory, folder), { withFileTypes: true });
    return entries
      .filter((entry) => !entry.isDirectory())
      .map(({ name }) => (folder === '.' ? name : `${folder}/${name}`));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** The same for objects under a prefix ('' or ending in '/') of a store. Error: DATASET_INVALID. */
export async function storeImages(store: ObjectStore, prefix = ''): Promise<TrainingSource[]> {
  const inTrain = await listStore(store, prefix, 'train/good/');
  const paths = inTrain.length > 0 ? inTrain : await listStore(store, prefix, '');
  return sourcesOf(paths, `${store.url}/${prefix}`, (path) => store.get(prefix + path));
}

async function listStore(store: ObjectStore, prefix: string, folder: string): Promise<string[]> {
  const paths: string[] = [];
  for await (const { key } of listAll(store, prefix + folder)) {
    const path = key.slice(prefix.length);
    if (!path.slice(folder.length).includes('/')) paths.push(path);
  }
  return paths;
}

function sourcesOf(paths: string[], place: string, read: (path: string) => Promise<Uint8Array>): TrainingSource[] {
  const images = paths.filter(isImageName).sort();
  if (images.length === 0) {
    throw new PatchlineError(
      'DATASET_INVALID',
      `Expected images in train/good/ or directly in ${place} but found none (.jpg .jpeg .png .tif .tiff .webp)`,
    );
  }
  return images.map((name) => ({ name, read: () => read(name) }));
}
