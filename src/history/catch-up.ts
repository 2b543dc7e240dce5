import { listAll, type ObjectStore } from '../shared/store/object-store.js';
import { readRows } from './rows.js';
import type { History } from './table.js';

/** What was written last of each inspection captured on a date or later: its result or its review. Only those with a result. */
export async function* listWritten(
  store: ObjectStore,
  since = '',
): AsyncGenerator<{ inspectionId: string; writtenAt: Date }> {
  let current: { inspectionId: string; writtenAt: Date; hasResult: boolean } | undefined;
  for await (const { key, modifiedAt } of listAll(store, 'inspections/', `inspections/${since}`)) {
    const [, , inspectionId, file] = key.split('/') as [string, string, string, string?];
    if (current?.inspectionId !== inspectionId) {
      if (current?.hasResult) yield current;
      current = { inspectionId, writtenAt: new Date(0), hasResult: false };
    }
    if (file !== 'result.json' && file !== 'review.json') continue;
    if (modifiedAt > current.writtenAt) current.writtenAt = modifiedAt;
    if (file === 'result.json') current.hasResult = true;
  }
  if (current?.hasResult) yield current;
}

/**
 * Inspections captured on a date or later whose row is missing or older than their result or review.
 *
 * @param since UTC date, yyyy-mm-dd; '' for all
 */
export async function* missingRows(
  { store, history }: { store: ObjectStore; history: History },
  since: string,
): AsyncGenerator<string> {
  // Times in ms since 1970, not as Date: there may be a million.
  const recorded = new Map<string, number>();
  const captured = since === '' ? {} : { since: new Date(since) };
  for await (const { inspectionId, recordedAt } of readRows(history, captured, ['inspectionId', 'recordedAt'])) {
    recorded.set(inspectionId, recordedAt.getTime());
  }
  for await (const { inspectionId, writtenAt } of listWritten(store, since)) {
    const at = recorded.get(inspectionId);
    if (at === undefined || at < writtenAt.getTime()) yield inspectionId;
  }
}
