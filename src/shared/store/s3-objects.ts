import {
  CopyObjectCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
} from '@aws-sdk/client-s3';
import type { ListOptions, ListPage, ObjectHead, PutOptions } from './object-store.js';
import { objectNotFound } from './object-store.js';
import { type Bucket, bucketOf, folderClashes, nameOf, parseS3Url, s3Fault, statusOf } from './s3-client.js';

/** The S3 requests behind a store; keys are those of the bucket. */

export async function putObject(bucket: Bucket, key: string, bytes: Uint8Array, options: PutOptions): Promise<void> {
  await answered(bucket, () => sendPut(bucket, key, bytes, options));
}

/** Puts with If-None-Match: false where the server says that something is there. */
export function putObjectIfNone(bucket: Bucket, key: string, bytes: Uint8Array, options: PutOptions): Promise<boolean> {
  return answered(bucket, async () => {
    try {
      await sendPut(bucket, key, bytes, options, '*');
      return true;
    } catch (error) {
      if (statusOf(error) === 412) return false;
      throw error;
    }
  });
}

async function sendPut(
  bucket: Bucket,
  key: string,
  bytes: Uint8Array,
  { contentType, metadata }: PutOptions,
  ifNoneMatch?: string,
): Promise<void> {
  const input = {
    Bucket: bucket.name,
    Key: key,
    Body: bytes,
    ContentType: contentType,
    Metadata: metadata && encodeMetadata(metadata),
    IfNoneMatch: ifNoneMatch,
  };
  for (let attempt = 1; ; attempt++) {
    try {
      await bucket.client.send(new PutObjectCommand(input));
      return;
    } catch (error) {
      if (!collisions.includes(nameOf(error)) || attempt === 5) throw error;
    }
  }
}

/** Answers to a put that met another request to the same place: the put is to be repeated. */
const collisions = ['ConditionalRequestConflict', ...folderClashes];

/** The bytes of an object, or of a range such as 'bytes=0-9'. */
export function getObject(bucket: Bucket, key: string, range?: string): Promise<Uint8Array> {
  return answered(bucket, async () => {
    try {
      const input = { Bucket: bucket.name, Key: key, Range: range };
      const { Body } = await bucket.client.send(new GetObjectCommand(input));
      return await Body!.transformToByteArray();
    } catch (error) {
      if (range && statusOf(error) === 416) return new Uint8Array(0); // the object ends before the range begins
      if (nameOf(error) === 'NoSuchKey') throw objectNotFound(`s3://${bucket.name}`, key);
      throw error;
    }
  });
}

export async function headObject(bucket: Bucket, key: string) {
  return answered(bucket, async (): Promise<(ObjectHead & { contentType?: string }) | undefined> => {
    try {
      const answer = await bucket.client.send(new HeadObjectCommand({ Bucket: bucket.name, Key: key }));
      return {
        key,
        size: answer.ContentLength!,
        modifiedAt: answer.LastModified!,
        metadata: decodeMetadata(answer.Metadata ?? {}),
        contentType: answer.ContentType,
      };
    } catch (error) {
      if (statusOf(error) === 404) return undefined;
      throw error;
    }
  });
}

/** Copies an object onto itself, which is the only way to other metadata. */
export async function replaceMetadata(bucket: Bucket, key: string, metadata: Record<string, string>): Promise<void> {
  const head = await headObject(bucket, key);
  if (!head) throw objectNotFound(`s3://${bucket.name}`, key);
  await answered(bucket, () =>
    bucket.client.send(
      new CopyObjectCommand({
        Bucket: bucket.name,
        Key: key,
        CopySource: `${bucket.name}/${key.split('/').map(encodeURIComponent).join('/')}`,
        MetadataDirective: 'REPLACE',
        Metadata: encodeMetadata(metadata),
        ContentType: head.contentType,
      }),
    ),
  );
}

export function listObjects(bucket: Bucket, prefix: string, { after, limit }: ListOptions): Promise<ListPage> {
  return answered(bucket, async () => {
    const input = { Bucket: bucket.name, Prefix: prefix, StartAfter: after, MaxKeys: limit };
    const answer = await bucket.client.send(new ListObjectsV2Command(input));
    const objects = (answer.Contents ?? []).map((object) => ({
      key: object.Key!,
      size: object.Size!,
      modifiedAt: object.LastModified!,
    }));
    return { objects, next: answer.IsTruncated ? objects.at(-1)?.key : undefined };
  });
}

export async function deleteObject(bucket: Bucket, key: string): Promise<void> {
  await answered(bucket, () => bucket.client.send(new DeleteObjectCommand({ Bucket: bucket.name, Key: key })));
}

/** The bytes at any s3://bucket/key of the server that the environment names. Errors: OBJECT_NOT_FOUND, STORE_UNREACHABLE. */
export async function getS3Object(url: string): Promise<Uint8Array> {
  const { bucket, key } = parseS3Url(url);
  return getObject(bucketOf(bucket), key);
}

/** Every object whose address begins with `prefixUrl`, in ascending order; the empty objects that stand for folders are left out. */
export async function* listS3(prefixUrl: string): AsyncGenerator<{ url: string; size: number; modifiedAt: Date }> {
  const { bucket, key: prefix } = parseS3Url(prefixUrl);
  let after: string | undefined;
  do {
    const page = await listObjects(bucketOf(bucket), prefix, { after });
    for (const { key, ...info } of page.objects)
      if (!key.endsWith('/')) yield { url: `s3://${bucket}/${key}`, ...info };
    after = page.next;
  } while (after !== undefined);
}

async function answered<T>(bucket: Bucket, request: () => Promise<T>): Promise<T> {
  try {
    return await request();
  } catch (error) {
    throw s3Fault(bucket, error);
  }
}

/** S3 metadata travels in HTTP headers, which hold ASCII only. */
const encodeMetadata = (metadata: Record<string, string>): Record<string, string> =>
  mapValues(metadata, encodeURIComponent);

const decodeMetadata = (metadata: Record<string, string>): Record<string, string> =>
  mapValues(metadata, (value) => {
    try {
      return decodeURIComponent(value);
    } catch {
      return value; // written by another program, which did not encode it
    }
  });

function mapValues(record: Record<string, string>, change: (value: string) => string): Record<string, string> {
  return Object.fromEntries(Object.entries(record).map(([name, value]) => [name, change(value)]));
}
