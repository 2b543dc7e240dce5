import type { ExplainingData } from '../shared/contracts.js';
import { PatchlineError } from '../shared/errors.js';
import { workKey } from '../shared/keys.js';
import type { ObjectStore } from '../shared/store/object-store.js';

/** What score left for the explaining stages, .npz. @throws WORK_GONE where it has been swept away. */
export async function readWork(store: ObjectStore, { inspectionId }: ExplainingData): Promise<Uint8Array> {
  try {
    return await store.get(workKey(inspectionId));
  } catch (error) {
    if (!(error instanceof PatchlineError && error.code === 'OBJECT_NOT_FOUND')) throw error;
    throw new PatchlineError('WORK_GONE', `Expected the work object ${workKey(inspectionId)} but there is none`, {
      cause: error,
    });
  }
}

/** The memory of bytes that nothing else shares, to be moved to a thread instead of copied; none for a part of a larger piece. */
export function owned({ buffer, byteLength }: Uint8Array): ArrayBuffer[] {
  return buffer instanceof ArrayBuffer && buffer.byteLength === byteLength ? [buffer] : [];
}
