import pMap from 'p-map';
import { dateOfInspection } from '../shared/keys.js';
import { hasResult } from '../shared/results.js';
import type { ObjectStore } from '../shared/store/object-store.js';
import { resultIdsOf } from './originals.js';

/** Up to so many inspections are asked for one by one; for more, whole days are listed. */
const askedSingly = 50;
/** Ids of listed days that are kept: some 100 MB. */
const keptIds = 1_000_000;

export interface ResultLookup {
  /** Those of the inspections that have a result. What came after a day was first listed may be missing. */
  among(inspectionIds: readonly string[]): Promise<Set<string>>;
}

/** Finds out which of many inspections have a result with fewer requests than one for each: a day's results are listed once. */
export function createResultLookup(store: ObjectStore): ResultLookup {
  const days = new Map<string, Set<string>>();
  let kept = 0;
  const idsOf = async (date: string): Promise<Set<string>> => {
    const known = days.get(date);
    if (known) return known;
    const ids = await resultIdsOf(store, date);
    days.set(date, ids);
    kept += ids.size;
    for (const [oldest, { size }] of days) {
      if (kept <= keptIds || oldest === date) break;
      days.delete(oldest);
      kept -= size;
    }
    return ids;
  };
  return {
    async among(inspectionIds) {
      if (inspectionIds.length <= askedSingly) {
        const found = await pMap(inspectionIds, (id) => hasResult(store, id), { concurrency: 16 });
        return new Set(inspectionIds.filter((_, index) => found[index]));
      }
      const dates = [...new Set(inspectionIds.map(dateOfInspection))];
      await pMap(dates, idsOf, { concurrency: 16 });
      const found: string[] = [];
      for (const id of inspectionIds) if ((await idsOf(dateOfInspection(id))).has(id)) found.push(id);
      return new Set(found);
    },
  };
}
