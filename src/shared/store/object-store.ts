import { PatchlineError } from '../errors.js';

export interface ObjectInfo {
  key: string;
  /** Bytes. */
  size: number;
  /** When it was last written. */
  modifiedAt: Date;
}

export interface PutOptions {
  /** What S3 tells a browser that opens the object; a directory needs none. */
  contentType?: string;
  /** Small text values kept beside the object, with names of [a-z0-9-]; a put without them leaves none. */
  metadata?: Record<string, string>;
}

export interface ObjectHead extends ObjectInfo {
  metadata: Record<string, string>;
}

export interface ListOptions {
  after?: string;
  limit?: number;
}

export interface ListPage {
  objects: ObjectInfo[];
  /** The last key of this page where more may follow: give it as `after` for the next page. */
  next?: string;
}

/**
 * Objects under keys, in a directory or in S3. Both behave alike (test/integration/store-contract.test.ts): a write is seen
 * whole or not at all, the last of two writers wins, keys come back in ascending order of their UTF-8 bytes.
 *
 * A key is segments joined by '/'. No segment begins with '.': such names belong to the store and are never listed. A key must
 * not be the folder of another (`a` beside `a/b`): only some stores can hold both, the others answer KEY_INVALID.
 *
 * Errors: KEY_INVALID, METADATA_INVALID; OBJECT_NOT_FOUND from `get`, `getRange` and `setMetadata`; STORE_UNREACHABLE when the
 * store does not answer or refuses (retryable where the same call may succeed later).
 */
export interface ObjectStore {
  /** Where it is: an absolute directory or s3://bucket/prefix. */
  readonly url: string;
  /** Whether `putIfAbsent` holds between processes; false for an S3 server that ignores If-None-Match. */
  readonly conditionalPuts: boolean;
  put(key: string, bytes: Uint8Array, options?: PutOptions): Promise<void>;
  /**
   * Writes only where nothing is: true for the one writer who did, false for all others. Where the answer of an S3 server got
   * lost and was asked for again, the writer may be told false.
   */
  putIfAbsent(key: string, bytes: Uint8Array, options?: PutOptions): Promise<boolean>;
  get(key: string): Promise<Uint8Array>;
  /** `length` bytes from `start`, fewer where the object ends before. */
  getRange(key: string, start: number, length: number): Promise<Uint8Array>;
  /** Size, time and metadata; undefined where there is no such object. */
  head(key: string): Promise<ObjectHead | undefined>;
  /** Replaces the metadata of an object and leaves its bytes; in S3 `modifiedAt` becomes the time of this call. */
  setMetadata(key: string, metadata: Record<string, string>): Promise<void>;
  /** Keys that begin with `prefix`, after `after`, at most `limit` (default 1,000, in S3 never more). A page may hold fewer. */
  list(prefix: string, options?: ListOptions): Promise<ListPage>;
  /** Deletes; an absent key is no error. */
  delete(key: string): Promise<void>;
}

/** The error of every store for a key without an object. */
export function objectNotFound(url: string, key: string): PatchlineError {
  return new PatchlineError('OBJECT_NOT_FOUND', `Expected an object under ${key} but ${url} holds none`, {
    details: { key },
  });
}

/** All objects under a prefix, or those after a key, page by page. */
export async function* listAll(store: ObjectStore, prefix: string, after?: string): AsyncGenerator<ObjectInfo> {
  do {
    const page = await store.list(prefix, { after, limit: 10_000 }); // a directory reads its names anew for each page
    yield* page.objects;
    after = page.next;
  } while (after !== undefined);
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();

export function putJson(store: ObjectStore, key: string, value: unknown): Promise<void> {
  return store.put(key, jsonBytes(value), { contentType: 'application/json' });
}

export const jsonBytes = (value: unknown): Uint8Array => encoder.encode(`${JSON.stringify(value, null, 1)}\n`);

/** The parsed JSON under a key, undefined where there is none. */
export async function getJson(store: ObjectStore, key: string): Promise<unknown> {
  try {
    return JSON.parse(decoder.decode(await store.get(key)));
  } catch (error) {
    if (error instanceof PatchlineError && error.code === 'OBJECT_NOT_FOUND') return undefined;
    throw error;
  }
}

/** Whether every store can hold an object under this key. */
export const isKey = (key: string): boolean => isWholeKey(key) && key.split('/').every(isSegment);

/** What must hold of a key beside its segments. `redis.json` is where a directory store keeps the address of its Redis. */
export const isWholeKey = (key: string): boolean => Buffer.byteLength(key) <= 900 && key !== 'redis.json';

/** Whether a key may have this between its slashes. */
export function isSegment(name: string): boolean {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
  return /^[^.]/.test(name) && !/[\x00-\x1f\x7f\\]|\p{Surrogate}/u.test(name) && Buffer.byteLength(name) <= 240;
}

/** Throws KEY_INVALID for a key that one of the stores could not hold as it stands. */
export function assertKey(key: string): void {
  if (isKey(key)) return;
  throw new PatchlineError(
    'KEY_INVALID',
    "Expected a key of at most 900 bytes, not 'redis.json', in non-empty segments of at most 240 bytes that do not begin with " +
      `'.' and hold neither backslashes nor control characters but received ${JSON.stringify(key)}`,
  );
}

/** Throws METADATA_INVALID for metadata that one of the stores could not hold: S3 allows 2 KB in all and sends no empty value. */
export function assertMetadata(key: string, metadata: Record<string, string> = {}): void {
  const entries = Object.entries(metadata);
  const bytes = entries.reduce((sum, [name, value]) => sum + name.length + encodeURIComponent(value).length, 0);
  if (bytes <= 2000 && entries.every(([name, value]) => /^[a-z0-9][a-z0-9-]*$/.test(name) && value !== '')) return;
  throw new PatchlineError(
    'METADATA_INVALID',
    `Expected metadata of ${key} with names of [a-z0-9-], non-empty values and at most 2,000 bytes, percent-encoded, in all ` +
      `but received ${JSON.stringify(metadata)} of ${bytes} bytes`,
  );
}
