import { randomUUID } from 'node:crypto';
import { PatchlineError } from '../errors.js';
import { inTurn } from './in-turn.js';
import {
  assertKey,
  assertMetadata,
  isKey,
  type ListOptions,
  type ListPage,
  type ObjectStore,
  objectNotFound,
  type PutOptions,
} from './object-store.js';
import { type Bucket, bucketOf, parseS3Url } from './s3-client.js';
import {
  deleteObject,
  getObject,
  headObject,
  listObjects,
  putObject,
  putObjectIfNone,
  replaceMetadata,
} from './s3-objects.js';

/**
 * A store in the bucket and under the prefix of s3://bucket/prefix, at the server that S3_ENDPOINT names or at AWS, with the
 * credentials of AWS_*. The bucket must exist. Errors: STORE_UNREACHABLE, ARGUMENT_INVALID.
 */
export async function openS3Store(url: string): Promise<ObjectStore> {
  const { bucket: name, key } = parseS3Url(url);
  const folder = key.replace(/\/+$/, '');
  const prefix = folder && `${folder}/`;
  const bucket = bucketOf(name);
  const place = (key: string) => {
    assertKey(key);
    return prefix + key;
  };
  const conditionalPuts = await probeConditionalPuts(bucket, prefix);
  const putNew = conditionalPuts ? putObjectIfNone : lookThenPut;
  return {
    url: `s3://${name}${folder && `/${folder}`}`,
    conditionalPuts,
    put: async (key, bytes, options = {}) => {
      assertMetadata(key, options.metadata);
      await putObject(bucket, place(key), bytes, options);
    },
    putIfAbsent: async (key, bytes, options = {}) => {
      assertMetadata(key, options.metadata);
      return putNew(bucket, place(key), bytes, options);
    },
    get: async (key) => getObject(bucket, place(key)),
    getRange: async (key, start, length) => getRange(bucket, place(key), start, length),
    head: async (key) => {
      const head = await headObject(bucket, place(key));
      return head && { key, size: head.size, modifiedAt: head.modifiedAt, metadata: head.metadata };
    },
    setMetadata: async (key, metadata) => {
      assertMetadata(key, metadata);
      await replaceMetadata(bucket, place(key), metadata);
    },
    list: (start, options) => list(bucket, prefix, start, options),
    delete: async (key) => deleteObject(bucket, place(key)),
  };
}

/**
 * Whether the server keeps the first of two puts with If-None-Match; some accept the header and ignore it. The object of the
 * probe has a name of its own, so that two may probe at once, and one that no listing shows.
 */
async function probeConditionalPuts(bucket: Bucket, prefix: string): Promise<boolean> {
  const key = `${prefix}.probe-${randomUUID()}`;
  await putObject(bucket, key, new Uint8Array(0), {});
  try {
    return !(await putObjectIfNone(bucket, key, new Uint8Array(0), {}));
  } catch (error) {
    if (error instanceof PatchlineError && error.details.status === 501) return false; // says that it does not know the header
    throw error;
  } finally {
    await deleteObject(bucket, key);
  }
}

/** One winner within this process, for a server that cannot name one. */
function lookThenPut(bucket: Bucket, key: string, bytes: Uint8Array, options: PutOptions): Promise<boolean> {
  return inTurn(`s3://${bucket.name}/${key}`, async () => {
    if (await headObject(bucket, key)) return false;
    await putObject(bucket, key, bytes, options);
    return true;
  });
}

async function getRange(bucket: Bucket, key: string, start: number, length: number): Promise<Uint8Array> {
  if (length > 0) return getObject(bucket, key, `bytes=${start}-${start + length - 1}`);
  if (!(await headObject(bucket, key))) throw objectNotFound(`s3://${bucket.name}`, key); // HTTP knows no empty range
  return new Uint8Array(0);
}

async function list(
  bucket: Bucket,
  prefix: string,
  start: string,
  { after, limit = 1000 }: ListOptions = {},
): Promise<ListPage> {
  const page = await listObjects(bucket, prefix + start, {
    after: after && prefix + after,
    limit: Math.min(limit, 1000),
  });
  const inStore = page.objects.map((object) => ({ ...object, key: object.key.slice(prefix.length) }));
  return { objects: inStore.filter(({ key }) => isKey(key)), next: page.next?.slice(prefix.length) };
}
