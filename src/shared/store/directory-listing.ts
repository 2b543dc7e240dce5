import type { Dirent, Stats } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { isMissing } from './directory-faults.js';
import { isKey, isSegment, isWholeKey } from './object-store.js';

export interface KeyRange {
  prefix: string;
  after?: string;
}

/**
 * The keys of a directory store within a range, in ascending order of their UTF-8 bytes. Only the folders that can hold such keys
 * are read, each when its turn comes. `folder` is '' or ends in '/'.
 */
export async function* keysOf(root: string, range: KeyRange, folder = startOf(range)): AsyncGenerator<string> {
  if (folder !== '' && !isKey(folder.slice(0, -1))) return; // a prefix such as '../' leads nowhere
  const keys: string[] = [];
  for (const entry of await entriesOf(join(root, folder))) {
    const key = folder + entry.name;
    if (!isSegment(entry.name) || !isWholeKey(key)) continue; // cheaper than isKey: the folder has been checked
    const kind = entry.isSymbolicLink() ? await kindOfTarget(entry) : kindOf(entry);
    if (kind === 'folder' && mayHold(`${key}/`, range)) keys.push(`${key}/`);
    if (kind === 'file' && holds(key, range)) keys.push(key);
  }
  // A folder sorts as what its keys begin with, 'a/', and so after the files 'a-b' and 'a.b'.
  for (const key of keys.sort(compareKeys)) {
    if (key.endsWith('/')) yield* keysOf(root, range, key);
    else yield key;
  }
}

/** Order of UTF-8 bytes. That is the order of code points, which UTF-16 code units keep except for surrogates. */
export function compareKeys(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const difference = rankOf(a.charCodeAt(i)) - rankOf(b.charCodeAt(i));
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}

const rankOf = (unit: number): number => (unit >= 0xd800 && unit <= 0xdfff ? unit + 0x10000 : unit);

const startOf = ({ prefix }: KeyRange): string => prefix.slice(0, prefix.lastIndexOf('/') + 1);

function holds(key: string, { prefix, after }: KeyRange): boolean {
  return key.startsWith(prefix) && (after === undefined || compareKeys(key, after) > 0);
}

function mayHold(folder: string, { prefix, after }: KeyRange): boolean {
  const within = folder.startsWith(prefix) || prefix.startsWith(folder);
  return within && (after === undefined || after.startsWith(folder) || compareKeys(folder, after) > 0);
}

async function entriesOf(path: string): Promise<Dirent[]> {
  try {
    return await readdir(path, { withFileTypes: true });
  } catch (error) {
    if (isMissing(error)) return []; // a prefix without objects, or a folder that was emptied meanwhile
    throw error;
  }
}

const kindOf = (entry: Dirent | Stats) => (entry.isFile() ? 'file' : entry.isDirectory() ? 'folder' : undefined);

async function kindOfTarget(link: Dirent) {
  const target = await stat(join(link.parentPath, link.name)).catch(() => undefined); // a dangling link is no object
  return target && kindOf(target);
}
