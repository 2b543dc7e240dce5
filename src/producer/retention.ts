import type { Config } from '../shared/config.js';
import { listAll, type ObjectStore } from '../shared/store/object-store.js';

const dayMs = 86_400_000;

/** Objects deleted, by what they were. */
export interface CleanReport {
  work: number;
  images: number;
  results: number;
}

/**
 * Deletes what has been kept long enough, by the time it was written. Images go before results, so that no image is left
 * without its result: it would be inspected again.
 */
export async function cleanStore(
  store: ObjectStore,
  { work, images, results }: Config['retention'],
  now = Date.now(),
): Promise<CleanReport> {
  return {
    work: await deleteOlder(store, 'work/', work, now),
    images: await deleteOlder(store, 'images/', images, now),
    results: await deleteOlder(store, 'inspections/', results, now),
  };
}

async function deleteOlder(store: ObjectStore, prefix: string, days: number | null, now: number): Promise<number> {
  if (days === null) return 0;
  let deleted = 0;
  for await (const { key, modifiedAt } of listAll(store, prefix)) {
    if (now - modifiedAt.getTime() <= days * dayMs) continue;
    await store.delete(key);
    deleted++;
  }
  return deleted;
}
