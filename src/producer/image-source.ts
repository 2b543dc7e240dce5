import { stat } from 'node:fs/promises';
import { relative, resolve, sep } from 'node:path';
import type { Config } from '../shared/config.js';
import { PatchlineError } from '../shared/errors.js';
import type { ObjectStore } from '../shared/store/object-store.js';
import { isS3Url } from '../shared/store/s3-client.js';
import type { CameraImage } from './enqueue.js';
import { openFolderSource } from './folder-source.js';
import { openS3Source, openStoreSource } from './object-source.js';

/** Where objects take their time of capture from: what is written beside each of them, or when it was last modified. */
export type CaptureTimes = 'metadata' | 'modified';

/** An image that a source names; it has been listed, not read. */
export interface SourceImage {
  /** Its place in the order of the source. */
  key: string;
  modifiedAt: Date;
  /**
   * What an inspection needs to know of it, with its bytes in the store or at an address that workers can read.
   *
   * @throws IMAGE_NOT_FOUND, IMAGE_TOO_LARGE, CAPTURE_TIME_INVALID, PROCESS_DATA_INVALID
   */
  read(times: CaptureTimes): Promise<CameraImage>;
}

export interface SourcePage {
  images: SourceImage[];
  /** The last key listed, of an image or not. */
  lastKey: string;
  /** What is no image, nor the sidecar of one. */
  skipped: number;
}

/** Images under one address, in ascending order of their keys (UTF-8 bytes), listed page by page. */
export interface ImageSource {
  /** s3://bucket/prefix or an absolute path. */
  address: string;
  /** Whether its images are named where they lie; otherwise they are copied into the store. */
  byReference: boolean;
  /** Looks at the first images to see whether times of capture stand beside them. */
  findTimes(): Promise<CaptureTimes>;
  pages(after: string | undefined): AsyncGenerator<SourcePage>;
}

/** What opens a source: `where` is s3://bucket/prefix, a folder or a file. Errors: ARGUMENT_INVALID, IMAGE_NOT_FOUND. */
export async function openSource(
  store: ObjectStore,
  where: string,
  camera: string,
  limits: Config['limits'],
): Promise<ImageSource> {
  if (isS3Url(where)) return openS3Source(store, where, camera, limits);
  const found = await stat(where).catch((cause: unknown) => {
    throw new PatchlineError('IMAGE_NOT_FOUND', `Expected an image file or a directory but cannot open ${where}`, {
      cause,
    });
  });
  const key = keyInStore(store.url, where);
  if (key === undefined) return openFolderSource(store, resolve(where), camera, limits);
  return openStoreSource(store, found.isDirectory() ? `${key}/` : key, camera, limits);
}

/** The key of a path inside a directory store; undefined elsewhere. */
export function keyInStore(storeUrl: string, path: string): string | undefined {
  if (isS3Url(storeUrl) || isS3Url(path)) return undefined;
  const within = relative(resolve(storeUrl), resolve(path)).split(sep).join('/');
  return within === '' || within === '..' || within.startsWith('../') ? undefined : within;
}
