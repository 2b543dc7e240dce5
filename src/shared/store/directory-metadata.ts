import { randomUUID } from 'node:crypto';
import type { BigIntStats } from 'node:fs';
import { dirname, join } from 'node:path';
import { isMissing } from './directory-faults.js';
import { removeEmptyFolders, writeNewFile } from './directory-folders.js';
import { readWhole, rename, statIfPresent, unlink } from './short-calls.js';

/**
 * Metadata beside the objects of a directory store, as `.metadata/<key>.json`.
 *
 * An object and its metadata are two files and cannot appear in one step. So the metadata is written first, under the identity of
 * the file that will become the object; it counts from the moment that file has its name, and is then given its own plain name.
 * Whatever is cut short in between, the metadata found is that of the bytes found.
 */
export type Metadata = Record<string, string>;

const sidecarPath = (root: string, key: string): string => join(root, '.metadata', `${key}.json`);

const stagedPath = (root: string, key: string, file: BigIntStats): string =>
  join(dirname(sidecarPath(root, key)), `.${identityOf(file)}.json`);

/** What a file keeps when it is renamed or linked; an inode alone may come back with another file. */
export const identityOf = ({ ino, mtimeNs }: BigIntStats): string => `${ino}-${mtimeNs}`;

export const hasMetadata = (root: string, key: string): boolean => statIfPresent(sidecarPath(root, key)) !== undefined;

/** The metadata of the object that `file` describes. */
export async function readMetadata(root: string, key: string, file: BigIntStats): Promise<Metadata> {
  for (const path of [stagedPath(root, key, file), sidecarPath(root, key)]) {
    if (!statIfPresent(path)) continue;
    try {
      return JSON.parse(Buffer.from(await readWhole(path)).toString());
    } catch (error) {
      if (!isMissing(error)) throw error;
    }
  }
  return {};
}

/** Writes the metadata of a file that is about to become the object. */
export function stageMetadata(root: string, key: string, file: BigIntStats, metadata: Metadata): Promise<void> {
  return writeNewFile(root, stagedPath(root, key, file), textOf(metadata));
}

/** Gives staged metadata its plain name: the file has become the object. */
export function settleMetadata(root: string, key: string, file: BigIntStats): Promise<void> {
  return rename(stagedPath(root, key, file), sidecarPath(root, key));
}

/** Drops staged metadata: the file has not become the object, or is no longer. */
export function dropStagedMetadata(root: string, key: string, file: BigIntStats): Promise<void> {
  return removeIfPresent(stagedPath(root, key, file));
}

export async function replaceMetadata(root: string, key: string, file: BigIntStats, metadata: Metadata): Promise<void> {
  const path = sidecarPath(root, key);
  const temporary = join(dirname(path), `.${randomUUID()}.tmp`);
  await writeNewFile(root, temporary, textOf(metadata));
  await rename(temporary, path);
  await dropStagedMetadata(root, key, file);
}

export async function deleteMetadata(root: string, key: string, file: BigIntStats): Promise<void> {
  if (!statIfPresent(dirname(sidecarPath(root, key)))) return;
  await dropStagedMetadata(root, key, file);
  await removeIfPresent(sidecarPath(root, key));
  await removeEmptyFolders(root, dirname(sidecarPath(root, key)));
}

async function removeIfPresent(path: string): Promise<void> {
  if (!statIfPresent(path)) return;
  try {
    await unlink(path);
  } catch (error) {
    if (!isMissing(error)) throw error; // another process was quicker
  }
}

const textOf = (metadata: Metadata): string => `${JSON.stringify(metadata)}\n`;
