import pMap from 'p-map';
import { z } from 'zod';
import type { InspectionResult, Status, Verdict } from '../../shared/contracts.js';
import { messageOf, PatchlineError } from '../../shared/errors.js';
import type { InspectionPage, Listed } from '../../shared/http-api.js';
import { dateOf, inspectionFolder } from '../../shared/keys.js';
import type { Logger } from '../../shared/logger.js';
import { readResult } from '../../shared/results.js';
import type { ObjectStore } from '../../shared/store/object-store.js';

/** Results that are read for a page at most, whether they are wanted or not. */
const maxReadForPage = 1_000;
const readsAtOnce = 16;

export interface ListQuery {
  product?: string;
  camera?: string;
  verdict?: Verdict;
  status?: Status;
  /** Instants of capture, both inclusive. */
  from: string;
  to: string;
  limit: number;
  cursor?: string;
}

/** Where a page ended: the last id that was looked at, and its day. */
const placeSchema = z.strictObject({ day: z.iso.date(), id: z.string() });
type Place = z.infer<typeof placeSchema>;

/**
 * A page of results, the newest day first and within a day by id. A page may hold fewer than `limit`, even none, where few of
 * those that were read are wanted; its cursor leads on until it is null. A damaged result is left out and logged.
 *
 * @throws REQUEST_INVALID for a cursor that is none
 */
export async function pageOfInspections(
  { store, logger }: { store: ObjectStore; logger: Logger },
  query: ListQuery,
): Promise<InspectionPage> {
  const read = (id: string) =>
    readResult(store, id).catch((error: unknown) => {
      if (error instanceof PatchlineError) throw error; // the store's, not the result's
      logger.error({ inspectionId: id, reason: messageOf(error) }, 'a damaged result is left out of a list');
      return undefined;
    });
  const inspections: Listed[] = [];
  let left = maxReadForPage;
  let place = query.cursor === undefined ? undefined : readCursor(query.cursor);
  let day = place?.day ?? (await newestDay(store, dateOf(query.from), dateOf(query.to)));
  while (day !== undefined) {
    for await (const ids of idsOf(store, day, place?.id, query.limit)) {
      const results = await pMap(ids, read, { concurrency: readsAtOnce });
      for (const [index, result] of results.entries()) {
        place = { day, id: ids[index]! };
        left--;
        if (result && isWanted(result, query)) inspections.push(withoutVectors(result));
        if (inspections.length === query.limit || left === 0) return { inspections, cursor: writeCursor(place) };
      }
    }
    place = undefined;
    day = await newestDay(store, dateOf(query.from), dayBefore(day));
  }
  return { inspections, cursor: null };
}

function isWanted(result: InspectionResult, { product, camera, verdict, status, from, to }: ListQuery): boolean {
  const found = result.status === 'failed' ? undefined : result.verdict;
  return (
    (product === undefined || result.product === product) &&
    (camera === undefined || result.camera === camera) &&
    (verdict === undefined || found === verdict) &&
    (status === undefined || result.status === status) &&
    result.capturedAt >= from &&
    result.capturedAt <= to
  );
}

function withoutVectors(result: InspectionResult): Listed {
  if (result.status === 'failed') return result;
  const { vectors: _, ...listed } = result;
  return listed;
}

/** The ids of a day's inspections after one of them, in groups of at most `size`. */
async function* idsOf(
  store: ObjectStore,
  day: string,
  afterId: string | undefined,
  size: number,
): AsyncGenerator<string[]> {
  // '0' comes right after '/': all that lies in the folder is left out
  let after = afterId && `${inspectionFolder(afterId)}0`;
  let group: string[] = [];
  do {
    const page = await store.list(`inspections/${day}/`, { after });
    for (const { key } of page.objects) {
      const [, , id, file] = key.split('/');
      if (file === 'result.json') group.push(id!);
      if (group.length < size) continue;
      yield group;
      group = [];
    }
    after = page.next;
  } while (after !== undefined);
  if (group.length > 0) yield group;
}

const dayMs = 86_400_000;
const numberOf = (day: string): number => Date.parse(day) / dayMs;
const dayOf = (number: number): string => dateOf(new Date(number * dayMs).toISOString());
const dayBefore = (day: string): string => dayOf(numberOf(day) - 1);

/**
 * The newest day from `first` to `last` with inspections. A store lists upwards only, so the days are searched: back in doubling
 * steps until one with something after it is met, then by halving.
 */
export async function newestDay(store: ObjectStore, first: string, last: string): Promise<string | undefined> {
  const [least, most] = [numberOf(first), numberOf(last)];
  /** The first day with inspections from `day` on. */
  const next = async (day: number): Promise<number> => {
    const { objects } = await store.list('inspections/', { after: `inspections/${dayOf(day)}`, limit: 1 });
    return objects.length === 0 ? Number.POSITIVE_INFINITY : numberOf(objects[0]!.key.split('/')[1]!);
  };
  let low = most;
  for (let step = 1; ; step *= 2) {
    if (low < least) low = least;
    const found = most < least ? Number.POSITIVE_INFINITY : await next(low);
    if (found <= most) {
      low = found;
      break;
    }
    if (low <= least) return undefined;
    low -= step;
  }
  let high = most;
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    const found = await next(middle);
    if (found <= high) low = found;
    else high = middle - 1;
  }
  return dayOf(low);
}

const writeCursor = (place: Place): string => Buffer.from(JSON.stringify(place)).toString('base64url');

function readCursor(cursor: string): Place {
  try {
    const place = placeSchema.parse(JSON.parse(Buffer.from(cursor, 'base64url').toString()));
    if (inspectionFolder(place.id).startsWith(`inspections/${place.day}/`)) return place;
  } catch {
    // said below, whatever is wrong with it
  }
  throw new PatchlineError(
    'REQUEST_INVALID',
    `Expected a cursor of an earlier page but received ${JSON.stringify(cursor)}`,
  );
}
