import { S3Client } from '@aws-sdk/client-s3';
import { messageOf, PatchlineError } from '../errors.js';

/** A bucket of the S3 server that S3_ENDPOINT names, or of AWS. */
export interface Bucket {
  client: S3Client;
  name: string;
  /** For messages: where the client connects to. */
  endpoint: string;
}

export const isS3Url = (url: string): boolean => url.startsWith('s3://');

/** Bucket and key (or prefix) of s3://bucket/key; the key is taken as it stands, without percent-decoding. */
export function parseS3Url(url: string): { bucket: string; key: string } {
  const [, bucket, key = ''] = /^s3:\/\/([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:\/(.*))?$/s.exec(url) ?? [];
  if (bucket === undefined) {
    throw new PatchlineError('ARGUMENT_INVALID', `Expected an address of the form s3://bucket/key but received ${url}`);
  }
  return { bucket, key };
}

const clients = new Map<string, S3Client>();

/** The bucket at the server that the environment names; clients are kept, so that their connections are used again. */
export function bucketOf(name: string): Bucket {
  const {
    S3_ENDPOINT: endpoint,
    AWS_REGION,
    AWS_DEFAULT_REGION,
    AWS_ACCESS_KEY_ID,
    AWS_SECRET_ACCESS_KEY,
  } = process.env;
  const region = AWS_REGION ?? AWS_DEFAULT_REGION ?? 'us-east-1';
  const identity = JSON.stringify([endpoint, region, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY]);
  const client = clients.get(identity) ?? connect(endpoint, region);
  clients.set(identity, client);
  return { client, name, endpoint: endpoint ?? `AWS S3 in ${region}` };
}

function connect(endpoint: string | undefined, region: string): S3Client {
  return new S3Client({
    region,
    ...(endpoint && { endpoint, forcePathStyle: true }),
    // Other servers than AWS do not know the newer checksums.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    requestHandler: {
      connectionTimeout: 5_000,
      socketTimeout: 60_000,
      httpAgent: { maxSockets: 128, keepAlive: true },
    },
  });
}

/** HTTP status of a server's answer; undefined where none came. */
export function statusOf(error: unknown): number | undefined {
  return (error as { $metadata?: { httpStatusCode?: number } }).$metadata?.httpStatusCode;
}

/** The name that S3 gives an error, such as NoSuchKey. */
export const nameOf = (error: unknown): string => (error instanceof Error ? error.name : '');

/** What servers over a file system answer where one key is the folder of another, and at times when a folder is being emptied. */
export const folderClashes = ['ObjectParentIsFile', 'ExistingObjectIsDirectory'];

/**
 * STORE_UNREACHABLE with server, bucket and reason; KEY_INVALID where the server cannot hold a key that is the folder of another.
 * The SDK's error is left behind, since it holds the request with its signature.
 */
export function s3Fault({ endpoint, name: bucket }: Bucket, error: unknown): PatchlineError {
  if (error instanceof PatchlineError) return error;
  const [status, name] = [statusOf(error), nameOf(error)];
  const reason = [status && `HTTP ${status}`, name, connectionCodeOf(error), messageOf(error)].filter(Boolean);
  const text = [...new Set(reason)].join(', ');
  const details = { endpoint, bucket, status };
  if (folderClashes.includes(name)) {
    return new PatchlineError('KEY_INVALID', `Expected a key that is not the folder of another: ${text}`, { details });
  }
  const retryable =
    status === undefined ? name !== 'CredentialsProviderError' : status >= 500 || passing.includes(status);
  return new PatchlineError('STORE_UNREACHABLE', `Bucket ${bucket} at ${endpoint} cannot be used: ${text}`, {
    retryable,
    details,
  });
}

/** Request timeout, conflict with another request, too many requests. */
const passing = [408, 409, 429];

function connectionCodeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : '';
}
