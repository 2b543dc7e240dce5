import type { ObjectStore } from '../shared/store/object-store.js';
import { listWritten } from './catch-up.js';
import { batchLength, recordInspections, type Unreadable } from './record.js';
import { isBefore } from './rows.js';
import { historySchema } from './schema.js';
import { dropHistory, type History, openHistory, openOrCreateHistory, reach } from './table.js';
import { tidy } from './upkeep.js';

export interface RebuildReport {
  /** Results in the store. */
  results: number;
  rows: number;
  /** Rows whose result is gone. */
  removed: number;
  unreadable: Unreadable[];
}

/**
 * Makes history equal to the results and reviews in the store. A table that can be used stays in use meanwhile: every row is written
 * anew, and those that were not go; another one is dropped first.
 *
 * @throws STORE_UNREACHABLE, HISTORY_UNAVAILABLE
 */
export async function rebuildHistory(
  store: ObjectStore,
  onProgress: (done: number, total: number) => void,
): Promise<RebuildReport> {
  const startedAt = new Date();
  const history = await openUsable(store);
  const ids: string[] = [];
  for await (const { inspectionId } of listWritten(store)) ids.push(inspectionId);
  const report: RebuildReport = { results: ids.length, rows: 0, removed: 0, unreadable: [] };
  for (let start = 0; start < ids.length; start += batchLength) {
    const { written, unreadable } = await recordInspections({ store, history }, ids.slice(start, start + batchLength));
    report.rows += written;
    report.unreadable.push(...unreadable);
    onProgress(Math.min(start + batchLength, ids.length), ids.length);
  }
  const { numDeletedRows } = await reach(history, () => history.table.delete(isBefore('recordedAt', startedAt)));
  await tidy(history);
  return { ...report, removed: numDeletedRows };
}

/** The history where it can be read and has the columns of this version, else a new one in its place. */
async function openUsable(store: ObjectStore): Promise<History> {
  const columns = ({ names }: { names: readonly unknown[] }) => names.join();
  const isUsable = async () => {
    const history = await openHistory(store);
    if (!history) return true;
    await history.table.countRows();
    return columns(await history.table.schema()) === columns(historySchema);
  };
  if (!(await isUsable().catch(() => false))) await dropHistory(store);
  return await openOrCreateHistory(store);
}
