import { setTimeout as sleep } from 'node:timers/promises';
import pMap from 'p-map';
import { dateOf } from '../shared/keys.js';
import { compareKeys } from '../shared/store/directory-listing.js';
import { type Cursor, isUnseen, priorityOf, readCursor, unfinishedCursors, writeCursor } from './cursor.js';
import { type CameraImage, inspectionOf, type Producer } from './enqueue.js';
import { openSource, type SourceImage } from './image-source.js';
import { isRefusal } from './ingest.js';
import { createResultLookup, type ResultLookup } from './result-lookup.js';
import { type Settled, settleImage, type Versions } from './settle.js';

type NamedOutcome = Settled['outcome'] | 'unassigned';

export interface SettleNamedOptions {
  /** Undefined where images of a camera cannot be inspected. */
  versions(camera: string): Promise<Versions | undefined>;
  /** UTC date: older images are not looked at. */
  since?: string;
  /** An ingest whose cursor moved in this time is at work, and looks after its images itself. */
  settleMs: number;
  signal?: AbortSignal;
  onOutcome(outcome: NamedOutcome): void;
}

/**
 * Settles what broken-off ingests enqueued by reference: the images behind their cursors, up to the last one enqueued. No
 * folder of the store shows these. An ingest that had enqueued everything is finished when all of them have a result.
 */
export async function settleNamed(producer: Producer, options: SettleNamedOptions): Promise<void> {
  const { store } = producer;
  for await (const cursor of idleCursors(producer, options)) {
    let open = !cursor.enqueuedAll || cursor.kind !== 'ingest';
    const versions = await options.versions(cursor.camera);
    const results = createResultLookup(store);
    for await (const images of pagesBehind(producer, cursor, options.since)) {
      options.signal?.throwIfAborted();
      const outcomes = versions
        ? await settleImages(producer, images, { cursor, versions, results })
        : images.map(() => 'unassigned' as const);
      for (const outcome of outcomes) options.onOutcome(outcome);
      open ||= outcomes.some((outcome) => outcome !== 'finished' && outcome !== 'failed');
    }
    if (!open && options.since === undefined) {
      await writeCursor(store, { ...cursor, finishedAt: new Date().toISOString() });
    }
  }
}

async function* idleCursors(
  { store }: Producer,
  { settleMs, signal }: Pick<SettleNamedOptions, 'settleMs' | 'signal'>,
): AsyncGenerator<Cursor> {
  for await (const { cursor, writtenAt } of unfinishedCursors(store)) {
    if (!cursor.byReference) continue; // what is copied into the store is an original there
    await sleep(Math.max(0, writtenAt.getTime() + settleMs - Date.now()), undefined, { signal });
    const now = await readCursor(store, cursor);
    if (now?.finishedAt === undefined && now?.activeMs === cursor.activeMs) yield cursor;
  }
}

async function* pagesBehind({ store, config }: Producer, cursor: Cursor, since = ''): AsyncGenerator<CameraImage[]> {
  const { after, upTo, camera, source: address } = cursor;
  if (upTo === undefined || (after !== undefined && compareKeys(after, upTo) >= 0)) return;
  const source = await openSource(store, address, camera, config.limits);
  for await (const { images, lastKey } of source.pages(after)) {
    const named = images.filter((image) => compareKeys(image.key, upTo) <= 0 && isUnseen(cursor, image));
    const read = await pMap(named, (image) => readIfUsable(image, cursor), { concurrency: 32 });
    yield read.filter((image) => image !== undefined).filter(({ capturedAt }) => dateOf(capturedAt) >= since);
    if (compareKeys(lastKey, upTo) >= 0) return;
  }
}

/** Undefined for what its ingest refused, or will. */
async function readIfUsable(image: SourceImage, { times }: Cursor): Promise<CameraImage | undefined> {
  try {
    return await image.read(times);
  } catch (error) {
    if (isRefusal(error)) return undefined;
    throw error;
  }
}

async function settleImages(
  producer: Producer,
  images: readonly CameraImage[],
  { cursor, versions, results }: { cursor: Cursor; versions: Versions; results: ResultLookup },
): Promise<NamedOutcome[]> {
  const idsOf = (image: CameraImage) =>
    versions.all.map((version) => inspectionOf(image, versions.product, version, producer.config).inspectionId);
  const finished = await results.among(images.flatMap(idsOf));
  const settle = async (image: CameraImage): Promise<NamedOutcome> => {
    if (idsOf(image).some((id) => finished.has(id))) return 'finished';
    return (await settleImage(producer, image, versions, priorityOf(cursor.kind))).outcome;
  };
  return await pMap(images, settle, { concurrency: 8 });
}
