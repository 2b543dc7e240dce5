import { z } from 'zod';
import { imageKeyOf } from '../shared/keys.js';
import { type ProcessData, processSchema } from '../shared/process-data.js';
import { listInspections } from '../shared/results.js';
import type { ObjectInfo, ObjectStore } from '../shared/store/object-store.js';
import type { CameraImage } from './enqueue.js';

export interface NewOriginal {
  camera: string;
  bytes: Uint8Array;
  fileName: string;
  capturedAt: string;
  process?: ProcessData;
  /** Where it belongs, if that is known already. */
  imageKey?: string;
}

/**
 * Stores a camera's image under a key made of its content, unless it is there.
 *
 * @param collected only keeps it for a later fit: reconcile leaves it alone. Without it the mark of an earlier collecting
 *   is dropped.
 * @returns what is known of it: time and process data of the first time it was stored count, process data may be added later.
 */
export async function storeOriginal(
  store: ObjectStore,
  original: NewOriginal,
  collected: boolean,
): Promise<CameraImage> {
  const { bytes, fileName, ...given } = original;
  const image = { ...given, imageKey: given.imageKey ?? imageKeyOf(given.camera, given.capturedAt, bytes, fileName) };
  const { imageKey } = image;
  if (await store.putIfAbsent(imageKey, bytes, { metadata: markOf(image, collected) })) return image;
  const known = readMark(await store.head(imageKey), imageKey, given.camera);
  const completed = { process: given.process, ...known.image };
  const stillCollected = known.collected && collected;
  if (stillCollected !== known.collected || completed.process !== known.image.process) {
    await store.setMetadata(imageKey, markOf(completed, stillCollected));
  }
  return completed;
}

export const markOf = ({ capturedAt, process }: CameraImage, collected: boolean): Record<string, string> => ({
  capturedat: capturedAt,
  ...(process && { process: JSON.stringify(process) }),
  ...(collected && { collected: 'true' }),
});

const processText = z
  .string()
  .transform((text, context): unknown => {
    try {
      return JSON.parse(text);
    } catch {
      context.addIssue('Expected JSON');
      return z.NEVER;
    }
  })
  .pipe(processSchema);
const markSchema = z.object({
  capturedat: z.coerce.date().transform((time) => time.toISOString()),
  collected: z.literal('true').optional(),
  process: processText.optional(),
});

/** What is known of an original that lies in the store: its mark, else the time of the object. */
export function readMark(
  info: { metadata: Record<string, string>; modifiedAt: Date } | undefined,
  imageKey: string,
  camera: string,
): { image: CameraImage; collected: boolean } {
  const mark = markSchema.safeParse(info?.metadata);
  // Originals that somebody put there by other means carry no mark: their time is the object's.
  const capturedAt = mark.data?.capturedat ?? (info?.modifiedAt ?? new Date()).toISOString();
  const process = mark.data?.process;
  return {
    image: { imageKey, camera, capturedAt, ...(process && { process }) },
    collected: mark.data?.collected === 'true',
  };
}

/** An original with its time of capture and its process data, and whether it was only collected. */
export async function readOriginal(
  store: ObjectStore,
  imageKey: string,
): Promise<{ image: CameraImage; collected: boolean }> {
  return readMark(await store.head(imageKey), imageKey, imageKey.split('/')[1]!);
}

export interface StoredOriginal extends ObjectInfo {
  camera: string;
  /** UTC date of capture, yyyy-mm-dd. */
  date: string;
}

/** The originals in the store, by camera and date of capture; `since` (a date) leaves out older ones without listing them. */
export async function* listOriginals(
  store: ObjectStore,
  { camera, since = '', until = '9999' }: { camera?: string; since?: string; until?: string } = {},
): AsyncGenerator<StoredOriginal> {
  const prefix = camera === undefined ? 'images/' : `images/${camera}/`;
  let after: string | undefined;
  do {
    const page = await store.list(prefix, { after });
    after = page.next;
    for (const object of page.objects) {
      const [, owner, date] = object.key.split('/');
      if (date! < since) {
        after = `images/${owner}/${since}`; // nothing of this camera before that date is wanted: go on from there
        break;
      }
      if (date! <= until) yield { ...object, camera: owner!, date: date! };
    }
  } while (after !== undefined);
}

/** The ids of all inspections captured on a date that have a result. */
export async function resultIdsOf(store: ObjectStore, date: string): Promise<Set<string>> {
  const ids = new Set<string>();
  for await (const { inspectionId } of listInspections(store, { from: date, to: date })) ids.add(inspectionId);
  return ids;
}
