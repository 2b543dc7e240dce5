import { dirname } from 'node:path';
import { assertRoot, hasCode } from './directory-faults.js';
import { makeFolders, rmdir, writeFlushed } from './short-calls.js';

/** Writes a new file and flushes it to the disk, making its folder where there is none. */
export async function writeNewFile(root: string, path: string, bytes: Uint8Array | string): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await writeFlushed(path, bytes);
    } catch (error) {
      // A deleter may remove the folder, then empty, between its making and its first file.
      if (!hasCode(error, 'ENOENT') || attempt === 20) throw error;
      await assertRoot(root);
      await makeFolder(dirname(path));
    }
  }
}

async function makeFolder(path: string): Promise<void> {
  try {
    await makeFolders(path);
  } catch (error) {
    // A folder above was removed while this one was made, or a file stands in the way: the next write tells which.
    if (!hasCode(error, 'ENOENT', 'ENOTDIR', 'EEXIST')) throw error;
  }
}

/** Removes a folder below the root and those above it, as far as they are empty. */
export async function removeEmptyFolders(root: string, folder: string): Promise<void> {
  for (let path = folder; path.length > root.length; path = dirname(path)) {
    try {
      await rmdir(path);
    } catch (error) {
      if (!hasCode(error, 'ENOENT')) return; // not empty, or not to be removed: an empty folder does no harm
    }
  }
}
