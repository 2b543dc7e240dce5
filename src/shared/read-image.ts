import { PatchlineError } from './errors.js';
import type { ObjectStore } from './store/object-store.js';
import { getS3Object } from './store/s3-objects.js';

/** The bytes of an original: an object of the store, or one that lies elsewhere on the same S3 endpoint and is only named. */
export async function readImage(store: ObjectStore, imageKey: string): Promise<Uint8Array> {
  try {
    return imageKey.startsWith('s3://') ? await getS3Object(imageKey) : await store.get(imageKey);
  } catch (error) {
    if (!(error instanceof PatchlineError && error.code === 'OBJECT_NOT_FOUND')) throw error;
    throw new PatchlineError('IMAGE_NOT_FOUND', `Expected an image under ${imageKey} but there is none`, {
      cause: error,
    });
  }
}

/** Reads what a result in a store names; its original may lie elsewhere. */
export const readerOf =
  (store: ObjectStore, { imageKey }: { imageKey: string }) =>
  (key: string): Promise<Uint8Array> =>
    key === imageKey ? readImage(store, key) : store.get(key);
