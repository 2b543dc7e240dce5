import * as fs from 'node:fs';
import { promisify } from 'node:util';

/**
 * Calls of the file system, as node:fs/promises has them, without its hand-over to another thread: for a call that needs no disk
 * the hand-over costs ten times the call, and an inspection makes some eighty. What waits for the disk still runs aside: flushing,
 * and reading whole files.
 */
const fsync = promisify(fs.fsync);
const read = promisify(fs.read);

/** Undefined where there is nothing, or a file where the path wants a folder. */
export function statIfPresent(path: string): fs.BigIntStats | undefined {
  try {
    return fs.statSync(path, { bigint: true, throwIfNoEntry: false });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOTDIR') return undefined;
    throw error;
  }
}

export const stat = async (path: string): Promise<fs.BigIntStats> => fs.statSync(path, { bigint: true });
export const rename = async (from: string, to: string): Promise<void> => fs.renameSync(from, to);
export const link = async (from: string, to: string): Promise<void> => fs.linkSync(from, to);
export const unlink = async (path: string): Promise<void> => fs.unlinkSync(path);
export const rmdir = async (path: string): Promise<void> => fs.rmdirSync(path);
export const makeFolders = async (path: string): Promise<void> => void fs.mkdirSync(path, { recursive: true });

/** Writes a file that must not be there yet and flushes it to the disk. */
export async function writeFlushed(path: string, bytes: Uint8Array | string): Promise<void> {
  const file = fs.openSync(path, 'wx');
  try {
    fs.writeFileSync(file, bytes);
    await fsync(file);
  } finally {
    fs.closeSync(file);
  }
}

/** The bytes of a file, in memory of their own. */
export async function readWhole(path: string): Promise<Uint8Array> {
  const file = fs.openSync(path, 'r');
  try {
    const { size } = fs.fstatSync(file);
    const bytes = Buffer.allocUnsafeSlow(size);
    let filled = 0;
    while (filled < size) {
      const { bytesRead } = await read(file, bytes, filled, size - filled, filled);
      if (bytesRead === 0) throw new Error(`${path} was cut short while it was read`);
      filled += bytesRead;
    }
    return bytes;
  } finally {
    fs.closeSync(file);
  }
}
