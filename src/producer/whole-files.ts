import { stat } from 'node:fs/promises';
import { messageOf } from '../shared/errors.js';
import type { Logger } from '../shared/logger.js';
import { sidecarNamesOf } from './process-sidecar.js';

/** A file that is being created is empty at first, and stays so on a slow network. */
const emptyPatienceMs = 10_000;
/** How long an image waits for a sidecar that is to come. */
const sidecarPatienceMs = 10_000;

interface WholeFilesOptions {
  /** How long a file must not have changed to count as whole. */
  stableMs: number;
  /** Whether each image has a sidecar. */
  sidecar: boolean;
  logger: Logger;
}

/** Files that are perhaps still being written. */
export interface WholeFiles {
  /** Something was seen of a file. */
  note(file: string): void;
  /** Those that have not changed for long enough; they are no longer watched. */
  take(): Promise<string[]>;
  /** A file that was taken and left where it is: as it is now, it is not taken again. */
  leave(file: string): Promise<void>;
}

/** Knows when files are whole: when neither size nor time of an image and its sidecar have changed for a while. */
export function createWholeFiles({ stableMs, sidecar, logger }: WholeFilesOptions): WholeFiles {
  const noted = new Map<string, { state: string; sinceMs: number }>();
  const left = new Map<string, string>();
  const isRipe = async (file: string): Promise<boolean> => {
    const entry = noted.get(file)!;
    const found = await look(file);
    if (!found || left.get(file) === found.state) {
      noted.delete(file);
      return false;
    }
    if (found.state !== entry.state) {
      Object.assign(entry, { state: found.state, sinceMs: performance.now() });
      return false;
    }
    const missing = sidecar && !found.hasSidecar ? sidecarPatienceMs : 0;
    const patienceMs = Math.max(stableMs, missing, found.size === 0 ? emptyPatienceMs : 0);
    return performance.now() - entry.sinceMs >= patienceMs;
  };
  return {
    note(file) {
      if (!noted.has(file)) noted.set(file, { state: '', sinceMs: performance.now() });
    },
    async take() {
      const whole: string[] = [];
      for (const file of [...noted.keys()]) {
        try {
          if (await isRipe(file)) whole.push(file);
        } catch (error) {
          logger.warn({ file, reason: messageOf(error) }, 'file cannot be looked at; trying again');
        }
      }
      for (const file of whole) noted.delete(file);
      return whole.sort();
    },
    async leave(file) {
      const found = await look(file);
      if (found) left.set(file, found.state);
    },
  };
}

/** Size and time of a file and its sidecar; undefined where the file is gone. */
async function look(file: string): Promise<{ state: string; size: number; hasSidecar: boolean } | undefined> {
  const [image, ...sidecars] = await Promise.all([file, ...sidecarNamesOf(file)].map(statIfThere));
  if (!image) return undefined;
  const found = [image, ...sidecars.filter((each) => each !== undefined)];
  const state = found.map(({ size, mtimeMs }) => `${size}:${mtimeMs}`).join(' ');
  return { state, size: image.size, hasSidecar: found.length > 1 };
}

async function statIfThere(path: string) {
  try {
    return await stat(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
