import { randomUUID } from 'node:crypto';
import type { BigIntStats } from 'node:fs';
import { type FileHandle, mkdir, open } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { PatchlineError } from '../errors.js';
import { assertRoot, directoryFault, hasCode, isMissing } from './directory-faults.js';
import { removeEmptyFolders, writeNewFile } from './directory-folders.js';
import { keysOf } from './directory-listing.js';
import {
  deleteMetadata,
  dropStagedMetadata,
  hasMetadata,
  identityOf,
  type Metadata,
  readMetadata,
  replaceMetadata,
  settleMetadata,
  stageMetadata,
} from './directory-metadata.js';
import { inTurn } from './in-turn.js';
import {
  assertKey,
  assertMetadata,
  type ListOptions,
  type ListPage,
  type ObjectHead,
  type ObjectInfo,
  type ObjectStore,
  objectNotFound,
} from './object-store.js';
import { link, readWhole, rename, stat, statIfPresent, unlink } from './short-calls.js';

/**
 * A store in a directory, made where there is none. Keys are plain paths below it. A file is written under a hidden temporary
 * name beside its place, flushed, then renamed or linked: what a crash leaves behind is never listed and never in the way.
 */
export async function openDirectoryStore(directory: string): Promise<ObjectStore> {
  const root = resolve(directory);
  await rethrowing(root, () => mkdir(root, { recursive: true }));
  return {
    url: root,
    conditionalPuts: true,
    put: async (key, bytes, { metadata } = {}) => {
      await write(root, key, bytes, metadata, replace);
    },
    putIfAbsent: async (key, bytes, { metadata } = {}) => {
      const present = await guarded(root, key, async () => objectIfPresent(join(root, key))); // spares writing what is there
      return !present && write(root, key, bytes, metadata, create);
    },
    get: (key) => guarded(root, key, () => readObject(root, key)),
    getRange: (key, start, length) => guarded(root, key, () => readPart(root, key, start, length)),
    head: (key) => guarded(root, key, () => head(root, key)),
    setMetadata: (key, metadata) => guarded(root, key, () => setMetadata(root, key, metadata)),
    list: (prefix, options) => rethrowing(root, () => list(root, prefix, options)),
    delete: (key) => guarded(root, key, () => inTurn(join(root, key), () => remove(root, key))),
  };
}

async function guarded<T>(root: string, key: string, task: () => Promise<T>): Promise<T> {
  assertKey(key);
  return rethrowing(root, task);
}

/** Gives what the file system throws its code. */
async function rethrowing<T>(root: string, task: () => Promise<T>): Promise<T> {
  try {
    return await task();
  } catch (error) {
    throw directoryFault(root, error);
  }
}

/** Removes a temporary file where it still is; one left over does no harm. */
async function dropTemporary(path: string): Promise<void> {
  await unlink(path).catch(() => undefined);
}

/** Gives a whole file its place; false where something is there that must stay. */
type Publish = (temporary: string, path: string) => Promise<boolean>;

async function replace(temporary: string, path: string): Promise<boolean> {
  await rename(temporary, path);
  return true;
}

async function create(temporary: string, path: string): Promise<boolean> {
  try {
    await link(temporary, path);
    await dropTemporary(temporary);
    return true;
  } catch (error) {
    if (!hasCode(error, 'EEXIST') || (await stat(path)).isDirectory()) throw error;
    await dropTemporary(temporary);
    return false;
  }
}

async function write(root: string, key: string, bytes: Uint8Array, metadata: Metadata | undefined, publish: Publish) {
  assertKey(key);
  assertMetadata(key, metadata);
  const path = join(root, key);
  const temporary = join(dirname(path), `.${randomUUID()}.tmp`);
  try {
    await writeNewFile(root, temporary, bytes);
    return await inTurn(path, () => publishWithMetadata(root, key, temporary, metadata, publish));
  } catch (error) {
    await dropTemporary(temporary);
    if (hasCode(error, 'ENOTDIR', 'EISDIR', 'EEXIST')) throw await clashFault(root, key, error);
    throw directoryFault(root, error);
  }
}

async function publishWithMetadata(
  root: string,
  key: string,
  temporary: string,
  metadata: Metadata | undefined,
  publish: Publish,
): Promise<boolean> {
  const path = join(root, key);
  if (metadata === undefined && !hasMetadata(root, key)) return publish(temporary, path);
  const file = await stat(temporary);
  await stageMetadata(root, key, file, metadata ?? {});
  let published = false;
  try {
    published = await publish(temporary, path);
  } finally {
    if (!published) await dropStagedMetadata(root, key, file);
  }
  // Another process may have written over it since.
  if (published && (await isStill(path, file))) await settleMetadata(root, key, file);
  else if (published) await dropStagedMetadata(root, key, file);
  return published;
}

async function isStill(path: string, file: BigIntStats): Promise<boolean> {
  const now = objectIfPresent(path);
  return now !== undefined && identityOf(now) === identityOf(file);
}

async function readObject(root: string, key: string): Promise<Uint8Array> {
  try {
    return await readWhole(join(root, key));
  } catch (error) {
    if (isMissing(error) || hasCode(error, 'EISDIR')) throw await notFound(root, key);
    throw error;
  }
}

async function readPart(root: string, key: string, start: number, length: number): Promise<Uint8Array> {
  const file = await openIfPresent(join(root, key));
  if (!file) throw await notFound(root, key);
  try {
    const { size } = await file.stat();
    const bytes = new Uint8Array(Math.max(0, Math.min(length, size - start)));
    let filled = 0;
    while (filled < bytes.length) {
      const { bytesRead } = await file.read(bytes, filled, bytes.length - filled, start + filled);
      if (bytesRead === 0) throw new Error(`${key} was cut short while it was read`);
      filled += bytesRead;
    }
    return bytes;
  } finally {
    await file.close();
  }
}

async function head(root: string, key: string): Promise<ObjectHead | undefined> {
  const path = join(root, key);
  for (;;) {
    const file = objectIfPresent(path);
    if (!file) {
      await assertRoot(root);
      return undefined;
    }
    const metadata = await readMetadata(root, key, file);
    if (await isStill(path, file)) return { ...infoOf(key, file), metadata };
  }
}

async function setMetadata(root: string, key: string, metadata: Metadata): Promise<void> {
  assertMetadata(key, metadata);
  const path = join(root, key);
  await inTurn(path, async () => {
    const file = objectIfPresent(path);
    if (!file) throw await notFound(root, key);
    await replaceMetadata(root, key, file, metadata);
  });
}

async function list(root: string, prefix: string, { after, limit = 1000 }: ListOptions = {}): Promise<ListPage> {
  const keys: string[] = [];
  for await (const key of keysOf(root, { prefix, after })) if (keys.push(key) === limit) break;
  if (keys.length === 0) await assertRoot(root);
  const files = keys.map((key) => objectIfPresent(join(root, key)));
  const objects = files.flatMap((file, i) => (file ? [infoOf(keys[i]!, file)] : [])); // some may be deleted by now
  return { objects, next: keys.length === limit ? keys.at(-1) : undefined };
}

async function remove(root: string, key: string): Promise<void> {
  const path = join(root, key);
  const file = objectIfPresent(path);
  if (!file) return assertRoot(root);
  await deleteMetadata(root, key, file); // first: metadata that outlived its object could fall to the next one
  try {
    await unlink(path);
  } catch (error) {
    if (!isMissing(error)) throw error;
  }
  await removeEmptyFolders(root, dirname(path));
}

/** Size and times of an object; undefined where the path is missing or a folder. */
function objectIfPresent(path: string): BigIntStats | undefined {
  const file = statIfPresent(path);
  return file?.isFile() ? file : undefined;
}

function infoOf(key: string, file: BigIntStats): ObjectInfo {
  return { key, size: Number(file.size), modifiedAt: file.mtime };
}

async function openIfPresent(path: string): Promise<FileHandle | undefined> {
  return objectIfPresent(path) && (await open(path));
}

async function notFound(root: string, key: string): Promise<PatchlineError> {
  await assertRoot(root);
  return objectNotFound(root, key);
}

/** KEY_INVALID for a key that is the folder of another, or has another as its folder: a file system cannot hold both. */
async function clashFault(root: string, key: string, cause: unknown): Promise<PatchlineError> {
  const segments = key.split('/');
  const folders = segments.slice(1).map((_, i) => segments.slice(0, i + 1).join('/'));
  const files = folders.map((folder) => objectIfPresent(join(root, folder)));
  const { value: inside } = await keysOf(root, { prefix: `${key}/` }).next();
  const other = folders.find((_, i) => files[i]) ?? inside ?? `${key}/`;
  return new PatchlineError(
    'KEY_INVALID',
    `Expected a key that is not the folder of another but received ${JSON.stringify(key)} where ${root} holds ${JSON.stringify(other)}`,
    { details: { key, other }, cause },
  );
}
