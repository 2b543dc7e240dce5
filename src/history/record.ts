import pMap from 'p-map';
import { messageOf, PatchlineError } from '../shared/errors.js';
import { readResult } from '../shared/results.js';
import { readReview } from '../shared/reviews.js';
import type { ObjectStore } from '../shared/store/object-store.js';
import { writeRows } from './rows.js';
import { type HistoryRow, rowOf } from './schema.js';
import type { History } from './table.js';

/** Rows written at once: single ones would leave a file each. */
export const batchLength = 200;
const readsAtOnce = 16;

/** A result or review that is none. */
export interface Unreadable {
  inspectionId: string;
  message: string;
}

/**
 * Reads the results that the store holds of these inspections, with their reviews, and writes a row for each.
 *
 * @returns the rows written, and what could not be read and has no row
 * @throws STORE_UNREACHABLE, HISTORY_UNAVAILABLE
 */
export async function recordInspections(
  { store, history }: { store: ObjectStore; history: History },
  inspectionIds: readonly string[],
): Promise<{ written: number; unreadable: Unreadable[] }> {
  const unreadable: Unreadable[] = [];
  const read = async (inspectionId: string): Promise<HistoryRow | undefined> => {
    try {
      return await readRow(store, inspectionId);
    } catch (error) {
      if (error instanceof PatchlineError && error.code === 'STORE_UNREACHABLE') throw error;
      unreadable.push({ inspectionId, message: messageOf(error) });
      return undefined;
    }
  };
  const found = await pMap(new Set(inspectionIds), read, { concurrency: readsAtOnce });
  const rows = found.filter((row) => row !== undefined);
  await writeRows(history, rows);
  return { written: rows.length, unreadable };
}

/** Undefined where there is no result any more. */
async function readRow(store: ObjectStore, inspectionId: string): Promise<HistoryRow | undefined> {
  const recordedAt = new Date();
  const result = await readResult(store, inspectionId);
  return result && rowOf(result, await readReview(store, inspectionId), recordedAt);
}
