import { access, mkdir, rename, writeFile } from 'node:fs/promises';
import { dirname, extname, join, relative } from 'node:path';
import type { PatchlineError } from '../shared/errors.js';
import { sidecarNamesOf } from './process-sidecar.js';

/** Below a watched folder: where files go that were taken, and those that were refused. */
export const filingFolders = ['done', 'rejected'] as const;

/**
 * Moves a file out of the way, with its sidecar, to the same place below done/ or rejected/; beside a refused one stands
 * `<name>.error.txt`. A camera may use a name again: no file is written over, the later one gets a number.
 *
 * @returns the new path
 */
export async function fileAway(directory: string, file: string, error?: PatchlineError): Promise<string> {
  const folder = error ? 'rejected' : 'done';
  const target = await freeName(join(directory, folder, relative(directory, file)));
  await mkdir(dirname(target), { recursive: true });
  const sidecars = [];
  for (const sidecar of sidecarNamesOf(file)) if (await exists(sidecar)) sidecars.push(sidecar);
  await rename(file, target);
  for (const sidecar of sidecars) await rename(sidecar, `${target}.json`);
  if (error) await writeFile(`${target}.error.txt`, `${error.code}: ${error.message}\n`);
  return target;
}

async function freeName(path: string): Promise<string> {
  const extension = extname(path);
  const bare = path.slice(0, path.length - extension.length);
  let free = path;
  for (let number = 2; await exists(free); number++) free = `${bare}-${number}${extension}`;
  return free;
}

const exists = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  );
