import { openDirectoryStore } from './directory-store.js';
import type { ObjectStore } from './object-store.js';
import { isS3Url } from './s3-client.js';
import { openS3Store } from './s3-store.js';

/** Opens s3://bucket/prefix, or a directory, which is made where there is none. Errors: STORE_UNREACHABLE, ARGUMENT_INVALID. */
export function openStore(url: string): Promise<ObjectStore> {
  return isS3Url(url) ? openS3Store(url) : openDirectoryStore(url);
}
