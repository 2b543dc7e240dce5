import type { Config } from '../shared/config.js';
import { listAll, type ObjectStore } from '../shared/store/object-store.js';

const dayMs = 86_400_000;

/** Objects deleted, by what they were. */
export interface CleanReport {
  work: number;
  images: number;
  results: number;
  /** What cameras' ids of shots stand for: they go with results. */
  captures: number;
}

/**
 * Deletes what has been kept long enough, by the time it was written. Images go before results, so that no image is left
 * without its result: it would be inspected again.
 *
 * @param signal ends it between two objects, by throwing
 */
export async function cleanStore(
  store: ObjectStore,
  { work, images, results }: Config['retention'],
  { now = Date.now(), signal }: { now?: number; signal?: AbortSignal } = {},
): Promise<CleanReport> {
  const deleteOlder = async (prefix: string, days: number | null) => {
    if (days === null) return 0;
    let deleted = 0;
    for await (const { key, modifiedAt } of listAll(store, prefix)) {
      signal?.throwIfAborted();
      if (now - modifiedAt.getTime() <= days * dayMs) continue;
      await store.delete(key);
      deleted++;
    }
    return deleted;
  };
  return {
    work: await deleteOlder('work/', work),
    images: await deleteOlder('images/', images),
    results: await deleteOlder('inspections/', results),
    captures: await deleteOlder('captures/', results),
  };
}
