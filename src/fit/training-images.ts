import { readdir, readFile } from 'node:fs/promises';
import { join, posix } from 'node:path';
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

/** Labelled images of defects: those in train/<defect>/ of a folder, whatever the defect is called. */
export async function directoryDefects(directory: string): Promise<TrainingSource[]> {
  const folders = (await listDirectory(directory, 'train', 'folders')) ?? [];
  const paths = await Promise.all(folders.filter(isDefectFolder).map((folder) => listDirectory(directory, folder)));
  return imagesAmong(
    paths.flatMap((names) => names ?? []),
    (path) => readFile(join(directory, path)),
  );
}

const isDefectFolder = (path: string) => /^train\/[^/]+$/.test(path) && path !== 'train/good';

/** Paths of the files, or folders, in a folder of `directory`; undefined where there is no such folder. */
async function listDirectory(directory: string, folder: string, kind: 'files' | 'folders' = 'files') {
  try {
    const entries = await readdir(join(directory, folder), { withFileTypes: true });
    return entries
      .filter((entry) => entry.isDirectory() === (kind === 'folders'))
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

/** The same for objects under a prefix ('' or ending in '/') of a store. */
export async function storeDefects(store: ObjectStore, prefix = ''): Promise<TrainingSource[]> {
  const paths: string[] = [];
  for await (const { key } of listAll(store, `${prefix}train/`)) paths.push(key.slice(prefix.length));
  return imagesAmong(
    paths.filter((path) => isDefectFolder(posix.dirname(path))),
    (path) => store.get(prefix + path),
  );
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
  const images = imagesAmong(paths, read);
  if (images.length > 0) return images;
  throw new PatchlineError(
    'DATASET_INVALID',
    `Expected images in train/good/ or directly in ${place} but found none (.jpg .jpeg .png .tif .tiff .webp)`,
  );
}

function imagesAmong(paths: string[], read: (path: string) => Promise<Uint8Array>): TrainingSource[] {
  return paths
    .filter(isImageName)
    .sort()
    .map((name) => ({ name, read: () => read(name) }));
}
