import { stat } from 'node:fs/promises';
import { relative, sep } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { watch } from 'chokidar';
import pMap from 'p-map';
import { messageOf, PatchlineError } from '../shared/errors.js';
import type { Logger } from '../shared/logger.js';
import { enqueue, type Producer, planInspection } from './enqueue.js';
import { fileAway, filingFolders } from './filed-away.js';
import { isImageName } from './image-files.js';
import { isRefusal, readNewOriginal, waitForRoom } from './ingest.js';
import { type NewOriginal, storeOriginal } from './originals.js';
import { settleImage, versionsOf } from './settle.js';
import { createWholeFiles, type WholeFiles } from './whole-files.js';

export interface WatchOptions {
  directory: string;
  camera: string;
  /** What becomes of a file that was taken or refused: moved to done/ or rejected/ below the directory, or left. */
  after: 'move' | 'leave';
  /** How long a file must not have changed to count as whole. */
  stableMs: number;
  /** Asks the file system again and again, for network shares, which do not tell of changes. */
  polling: boolean;
  /** Each image has a sidecar: one that comes after its image is waited for. */
  sidecar: boolean;
  logger: Logger;
  onFile(taken: Taken): void;
}

/** What became of a file; `inspectionId` only where it was taken. */
export interface Taken {
  file: string;
  inspectionId?: string;
  error?: PatchlineError;
}

const filesAtOnce = 8;
/** Files between two looks at the backlog. */
const filesPerLook = 100;
const longestPauseMs = 30_000;

/**
 * Takes every image file that comes into a folder or one below it, once it is whole: stores it as an original of the camera and
 * enqueues its inspection. What cannot be done for now, because the store is away, the backlog is full or the product has no
 * bundle, is tried again; the file stays meanwhile.
 *
 * @returns `close` finishes the files under way. @throws CONFIG_INVALID where there is no such folder.
 */
export async function watchFolder(producer: Producer, options: WatchOptions): Promise<{ close(): Promise<void> }> {
  const { directory, stableMs, polling, logger } = options;
  const found = await stat(directory).catch(() => undefined);
  if (!found?.isDirectory()) {
    throw new PatchlineError('CONFIG_INVALID', `Expected a folder to watch but there is none at ${directory}`);
  }
  const files = createWholeFiles(options);
  const watcher = watch(directory, {
    ignored: (path, stats) => isLeftOut(relative(directory, path), stats?.isFile() ?? false),
    usePolling: polling,
    interval: Math.max(100, stableMs / 2),
    followSymlinks: false,
  });
  const note = (path: string) => files.note(path);
  watcher.on('add', note).on('change', note);
  watcher.on('error', (error) => logger.error({ directory, err: error }, 'the folder cannot be watched'));
  const ending = new AbortController();
  const working = takeFiles(producer, files, options, ending.signal);
  return {
    async close() {
      ending.abort();
      await watcher.close();
      await working;
    },
  };
}

function isLeftOut(path: string, isFile: boolean): boolean {
  const segments = path.split(sep);
  if (segments.some((segment) => segment.startsWith('.') && segment !== '.')) return true;
  return (filingFolders as readonly string[]).includes(segments[0]!) || (isFile && !isImageName(path));
}

async function takeFiles(producer: Producer, files: WholeFiles, options: WatchOptions, signal: AbortSignal) {
  const { stableMs, logger } = options;
  const pauseMs = Math.min(500, Math.max(20, stableMs / 4));
  let failures = 0;
  while (!signal.aborted) {
    const whole = await files.take();
    const failed: string[] = [];
    for (let start = 0; start < whole.length && !signal.aborted; start += filesPerLook) {
      await waitForRoom(producer, signal).catch(() => undefined);
      const take = async (file: string) => {
        if (signal.aborted) return;
        try {
          await takeFile(producer, files, file, options);
        } catch (error) {
          if (failed.push(file) === 1 && failures === 0) {
            logger.warn({ file, reason: messageOf(error) }, 'files stay where they are and are tried again');
          }
          files.note(file);
        }
      };
      await pMap(whole.slice(start, start + filesPerLook), take, { concurrency: filesAtOnce });
    }
    failures = failed.length > 0 && failed.length === whole.length ? failures + 1 : 0; // a single bad one holds up no other
    const longerMs = failures > 0 ? Math.min(longestPauseMs, 500 * 2 ** failures) : 0;
    await sleep(Math.max(pauseMs, longerMs), undefined, { signal }).catch(() => undefined);
  }
}

/** Errors: what may pass, so that the file is tried again. */
async function takeFile(producer: Producer, files: WholeFiles, file: string, options: WatchOptions): Promise<void> {
  const { camera, after, onFile } = options;
  await producer.activeVersionOf(await producer.productOf(camera)); // otherwise nothing is stored
  let error: PatchlineError | undefined;
  let inspectionId: string | undefined;
  try {
    const original = await readNewOriginal(file, camera, producer.config.limits);
    if (original.bytes.length === 0)
      throw new PatchlineError('IMAGE_UNREADABLE', `Expected an image but ${file} is empty`);
    inspectionId = await inspect(producer, original, after);
  } catch (thrown) {
    if (!isRefusal(thrown)) throw thrown;
    error = thrown;
  }
  if (error?.code === 'IMAGE_NOT_FOUND' && !(await stat(file).catch(() => undefined))) return; // somebody took it away
  onFile({ file, inspectionId, error });
  const moved = after === 'move' && (await moveAway(options, file, error));
  if (!moved) await files.leave(file);
}

/** False where it cannot be moved: then it is left, or it would come again and again. */
async function moveAway({ directory, logger }: WatchOptions, file: string, error: PatchlineError | undefined) {
  try {
    await fileAway(directory, file, error);
    return true;
  } catch (fault) {
    logger.error({ file, reason: messageOf(fault) }, 'file cannot be moved and is left');
    return false;
  }
}

/** A file that was left comes again after a restart: then the result of any bundle version counts. */
async function inspect(producer: Producer, original: NewOriginal, after: WatchOptions['after']): Promise<string> {
  const image = await storeOriginal(producer.store, original, false);
  if (after === 'leave') {
    const versions = await versionsOf(producer, image.camera);
    return (await settleImage(producer, image, versions, 0)).inspection.inspectionId;
  }
  const inspection = await planInspection(producer, image);
  await enqueue(producer, inspection, false);
  return inspection.inspectionId;
}
