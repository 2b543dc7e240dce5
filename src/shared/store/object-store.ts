import { PatchlineError } from '../errors.js';

export interface ObjectInfo {
  key: string;
  /** Bytes. */
  size: number;
  /** When it was last written. */
  modifiedAt: Date;
}

export interface PutOptions {
  contentType?: string;
  /** Small text values kept beside the object; names are lower case. */
  metadata?: Record<string, string>;
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
 * Errors: KEY_INVALID; OBJECT_NOT_FOUND from `get` and `getRange`; STORE_UNREACHABLE (retryable) when the store does not answer.
 */
export interface ObjectStore {
  /** Where it is: an absolute directory or s3://bucket/prefix. */
  readonly url: string;
  put(key: string, bytes: Uint8Array, options?: PutOptions): Promise<void>;
  /** Writes only where nothing is: true for the one writer who did, false for all others. */
  putIfAbsent(key: string, bytes: Uint8Array, options?: PutOptions): Promise<boolean>;
  get(key: string): Promise<Uint8Array>;
  /** `length` bytes from `start`, fewer where the object ends before. */
  getRange(key: string, start: number, length: number): Promise<Uint8Array>;
  /** Size, time and metadata; undefined where there is no such object. */
  head(key: string): Promise<(ObjectInfo & { metadata: Record<string, string> }) | undefined>;
  /** Replaces the metadata of an object and leaves its bytes. */
  setMetadata(key: string, metadata: Record<string, string>): Promise<void>;
  /** Keys that begin with `prefix`, after `after`, at most `limit` (default 1,000). */
  list(prefix: string, options?: { after?: string; limit?: number }): Promise<ListPage>;
  /** Deletes; an absent key is no error. */
  delete(key: string): Promise<void>;
}

/** All objects under a prefix, page by page. */
export async function* listAll(store: ObjectStore, prefix: string): AsyncGenerator<ObjectInfo> {
  let after: string | undefined;
  do {
    const page = await store.list(prefix, { after });
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

/** Throws KEY_INVALID for a key that one of the stores could not hold as it stands. */
export function assertKey(key: string): void {
  const bad =
    encoder.encode(key).length > 900 ||
    // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
    /[\x00-\x1f\x7f\\]/.test(key) ||
    key
      .split('/')
      .some((segment) => segment === '' || segment === '.' || segment === '..' || encoder.encode(segment).length > 240);
  if (bad) {
    throw new PatchlineError(
      'KEY_INVALID',
      `Expected a key of non-empty segments without '.', '..', backslashes or control characters but received ${JSON.stringify(key)}`,
    );
  }
}
