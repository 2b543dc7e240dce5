import { mayHaveHistory } from '../history/place.js';
import type { Config } from '../shared/config.js';
import { listAll, type ObjectStore } from '../shared/store/object-store.js';

const dayMs = 86_400_000;
/** Objects whose rows of history are removed at once. */
const batchLength = 1_000;

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
 * without its result: it would be inspected again. Rows of history go with their results.
 *
 * @param signal ends it between two objects, by throwing
 */
export async function cleanStore(
  store: ObjectStore,
  { work, images, results }: Config['retention'],
  { now = Date.now(), signal }: { now?: number; signal?: AbortSignal } = {},
): Promise<CleanReport> {
  const deleteOlder = async (prefix: string, days: number | null, before?: (keys: string[]) => Promise<void>) => {
    if (days === null) return 0;
    let deleted = 0;
    for await (const keys of inBatches(listOlder(store, prefix, now - days * dayMs), batchLength)) {
      await before?.(keys);
      for (const key of keys) {
        signal?.throwIfAborted();
        await store.delete(key);
        deleted++;
      }
    }
    return deleted;
  };
  return {
    work: await deleteOlder('work/', work),
    images: await deleteOlder('images/', images),
    results: await deleteOlder('inspections/', results, (keys) => forgetResults(store, keys)),
    captures: await deleteOlder('captures/', results),
  };
}

async function* listOlder(store: ObjectStore, prefix: string, before: number): AsyncGenerator<string> {
  for await (const { key, modifiedAt } of listAll(store, prefix)) if (modifiedAt.getTime() < before) yield key;
}

async function* inBatches(keys: AsyncGenerator<string>, length: number): AsyncGenerator<string[]> {
  let batch: string[] = [];
  for await (const key of keys) {
    if (batch.push(key) < length) continue;
    yield batch;
    batch = [];
  }
  if (batch.length > 0) yield batch;
}

/** Removes the rows of results that are about to be deleted: after them nobody would know which. */
async function forgetResults(store: ObjectStore, keys: string[]): Promise<void> {
  const ids = keys.filter((key) => key.endsWith('/result.json')).map((key) => key.split('/')[2]!);
  if (ids.length === 0 || !mayHaveHistory(store)) return;
  const [{ openHistory }, { removeRows }] = await Promise.all([
    import('../history/table.js'),
    import('../history/rows.js'),
  ]);
  const history = await openHistory(store);
  if (history) await removeRows(history, ids);
}
