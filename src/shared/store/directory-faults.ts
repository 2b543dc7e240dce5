import { messageOf, PatchlineError } from '../errors.js';
import { stat } from './short-calls.js';

/** What may pass without anybody mending it: a full disk, a busy or hanging one, too many open files. */
const passing = ['EAGAIN', 'EBUSY', 'EDQUOT', 'EIO', 'EMFILE', 'ENFILE', 'ENOSPC', 'ESTALE', 'ETIMEDOUT'];

export function hasCode(error: unknown, ...codes: string[]): boolean {
  return error instanceof Error && 'code' in error && codes.includes(String(error.code));
}

/** Whether a path does not exist: its last name is missing, or a name before it is missing or not a folder. */
export const isMissing = (error: unknown): boolean => hasCode(error, 'ENOENT', 'ENOTDIR');

/** STORE_UNREACHABLE for whatever the file system answered; its message names the path. */
export function directoryFault(root: string, error: unknown): PatchlineError {
  if (error instanceof PatchlineError) return error;
  return new PatchlineError('STORE_UNREACHABLE', `The store directory ${root} cannot be used: ${messageOf(error)}`, {
    retryable: hasCode(error, ...passing),
    details: { directory: root },
    cause: error,
  });
}

/** Throws where the directory of a store is gone, which must never look like a store without objects. */
export async function assertRoot(root: string): Promise<void> {
  const found = await stat(root).catch((error) => {
    throw directoryFault(root, error);
  });
  if (!found.isDirectory()) throw directoryFault(root, new Error('not a directory'));
}
