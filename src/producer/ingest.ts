import { readFile, stat } from 'node:fs/promises';
import { basename } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pMap from 'p-map';
import type { Config } from '../shared/config.js';
import type { Inspection } from '../shared/contracts.js';
import { PatchlineError } from '../shared/errors.js';
import { capturedAtOf } from '../shared/image.js';
import { namePattern } from '../shared/keys.js';
import { countBacklog } from '../shared/queues.js';
import type { ObjectStore } from '../shared/store/object-store.js';
import { assertCaptureTime } from './capture-time.js';
import { type CameraImage, type Enqueued, enqueue, type Producer, planInspection } from './enqueue.js';
import { type NewOriginal, storeOriginal } from './originals.js';
import { readProcessSidecar } from './process-sidecar.js';

/** What became of one file. */
export type Ingested =
  | { file: string; outcome: 'refused'; error: PatchlineError }
  | { file: string; outcome: 'collected'; image: CameraImage }
  | { file: string; outcome: Enqueued; inspection: Inspection };

const filesAtOnce = 8;
/** Files between two looks at the backlog. */
const filesPerLook = 100;

/** @throws ARGUMENT_INVALID for a name that cannot stand in a key. */
export function assertCameraName(camera: string): void {
  if (namePattern.test(camera)) return;
  throw new PatchlineError(
    'ARGUMENT_INVALID',
    `Expected a name of lower-case letters, digits, - and _ for the camera but received ${JSON.stringify(camera)}`,
  );
}

/**
 * Reads a camera's file, its time of capture (EXIF, else the file's time) and the process data beside it. What is in the
 * image is for the score stage to judge.
 *
 * @throws IMAGE_NOT_FOUND, IMAGE_TOO_LARGE, PROCESS_DATA_INVALID
 */
export async function readCameraFile(file: string, camera: string, limits: Config['limits']): Promise<NewOriginal> {
  let bytes: Uint8Array;
  let modifiedAt: Date;
  try {
    const { size, mtime } = await stat(file);
    modifiedAt = mtime;
    if (size > limits.maxImageBytes) {
      throw new PatchlineError(
        'IMAGE_TOO_LARGE',
        `Expected at most ${limits.maxImageBytes} bytes for ${file} but received ${size}`,
      );
    }
    bytes = await readFile(file);
  } catch (error) {
    if (error instanceof PatchlineError) throw error;
    throw new PatchlineError('IMAGE_NOT_FOUND', `Expected a readable file for ${file}: ${(error as Error).message}`);
  }
  const capturedAt = (await capturedAtOf(bytes)) ?? modifiedAt.toISOString();
  const process = await readProcessSidecar(file);
  return { camera, bytes, fileName: basename(file), capturedAt, ...(process && { process }) };
}

/** A camera's file as an original to be stored. Errors: those of readCameraFile, and CAPTURE_TIME_INVALID for one of the future. */
export async function readNewOriginal(file: string, camera: string, limits: Config['limits']): Promise<NewOriginal> {
  const original = await readCameraFile(file, camera, limits);
  assertCaptureTime(original.capturedAt, file);
  return original;
}

/** Whether an error says that one image cannot be taken, and no more than that. */
export const isRefusal = (error: unknown): error is PatchlineError =>
  error instanceof PatchlineError && /^(IMAGE_|PROCESS_DATA_|CAPTURE_TIME_)/.test(error.code);

/** One bad file, or a bad sidecar, is refused and named; the others go on. */
async function refuseBad(file: string, ingest: () => Promise<Ingested>): Promise<Ingested> {
  try {
    return await ingest();
  } catch (error) {
    if (isRefusal(error)) return { file, outcome: 'refused', error };
    throw error;
  }
}

/** Stores files as originals of a camera without enqueuing them, for a later fit. Needs neither Redis nor a bundle. */
export async function collectFiles(
  { store, config }: { store: ObjectStore; config: Config },
  camera: string,
  files: string[],
  onFile: (ingested: Ingested) => void,
): Promise<void> {
  assertCameraName(camera);
  const collect = (file: string) =>
    refuseBad(file, async () => {
      const original = await readNewOriginal(file, camera, config.limits);
      return { file, outcome: 'collected', image: await storeOriginal(store, original, true) };
    });
  await pMap(files, async (file) => onFile(await collect(file)), { concurrency: filesAtOnce });
}

/**
 * Stores files as originals of a camera and enqueues their inspection; waits while the backlog is full.
 *
 * @param again inspects anew what already has a result.
 * @throws CAMERA_UNKNOWN or BUNDLE_NOT_FOUND before anything is stored.
 */
export async function ingestFiles(
  producer: Producer,
  camera: string,
  files: string[],
  { again, onFile }: { again: boolean; onFile: (ingested: Ingested) => void },
): Promise<void> {
  assertCameraName(camera);
  await producer.activeVersionOf(await producer.productOf(camera));
  const ingest = (file: string) =>
    refuseBad(file, async () => {
      const original = await readNewOriginal(file, camera, producer.config.limits);
      return { file, ...(await ingestOriginal(producer, original, again)) };
    });
  for (let start = 0; start < files.length; start += filesPerLook) {
    await waitForRoom(producer);
    const some = files.slice(start, start + filesPerLook);
    await pMap(some, async (file) => onFile(await ingest(file)), { concurrency: filesAtOnce });
  }
}

/** Stores one image of a camera and enqueues its inspection. */
export async function ingestOriginal(
  producer: Producer,
  original: NewOriginal,
  again: boolean,
): Promise<{ outcome: Enqueued; inspection: Inspection }> {
  const inspection = await planInspection(producer, await storeOriginal(producer.store, original, false));
  return { outcome: await enqueue(producer, inspection, again), inspection };
}

/** Waits while the backlog is full; `signal` ends it by an AbortError. */
export async function waitForRoom({ queues, config }: Producer, signal?: AbortSignal): Promise<void> {
  while ((await countBacklog(queues)) >= config.limits.maxBacklog) await sleep(250, undefined, { signal });
}
