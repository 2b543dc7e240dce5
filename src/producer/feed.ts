import pMap from 'p-map';
import type { Inspection } from '../shared/contracts.js';
import { compareKeys } from '../shared/store/directory-listing.js';
import { type Cursor, type CursorKeeper, priorityOf } from './cursor.js';
import { type Producer, planInspection } from './enqueue.js';
import { enqueueMany } from './enqueue-many.js';
import type { SourceImage, SourcePage } from './image-source.js';
import { isRefusal, waitForRoom } from './ingest.js';
import type { Outcome } from './ingest-tally.js';
import type { Place } from './ordered-places.js';
import type { ResultLookup } from './result-lookup.js';
import type { ResultWindow } from './result-window.js';

/** What an ingest works with while it goes through its source. */
export interface Feed {
  producer: Producer;
  cursor: Cursor;
  keeper: CursorKeeper;
  window: ResultWindow;
  results: ResultLookup;
  /** Places under way at most. */
  windowSize: number;
  /** Called when an image has an outcome and all before it have. */
  onPassed(outcome: Outcome): void;
  signal?: AbortSignal;
}

/** Headers and sidecars read at once; files too, of which each is held in memory. */
const readsAtOnce = { byReference: 32, copied: 8 };

/** What an image turned out to be before it is enqueued. */
interface Read {
  image: SourceImage;
  inspection?: Inspection;
  refusal?: Outcome;
}

/** Enqueues the images of a page, in parts that leave the window something to do while the next part is prepared. */
export async function feedPage(feed: Feed, { images, lastKey }: SourcePage): Promise<void> {
  const partSize = Math.min(1_000, Math.ceil(feed.windowSize / 2));
  for (let start = 0; start < images.length; start += partSize) {
    await feedPart(feed, images.slice(start, start + partSize));
  }
  feed.window.add([{ passed: () => moveTo(feed, lastKey) }]);
}

function moveTo({ cursor, keeper }: Feed, key: string): void {
  cursor.after = key;
  keeper.soon();
}

async function feedPart(feed: Feed, images: readonly SourceImage[]): Promise<void> {
  const { producer, cursor, keeper, window, results, windowSize, signal } = feed;
  await window.until(windowSize - images.length);
  await waitForRoom(producer, signal);
  signal?.throwIfAborted();
  const known = cursor.upTo;
  const isBefore = ({ key }: SourceImage) => known !== undefined && compareKeys(key, known) <= 0;
  if (!isBefore(images.at(-1)!)) {
    cursor.upTo = images.at(-1)!.key; // before anything is enqueued: reconcile looks no further
    await keeper.now();
  }
  const read = await pMap(images, (image) => readImage(feed, image), {
    concurrency: cursor.byReference ? readsAtOnce.byReference : readsAtOnce.copied,
  });
  window.add(read.map((each) => placeOf(feed, each)));
  const planned = read.filter((each) => each.inspection !== undefined);
  // A poll comes upon images that were ingested in other ways; the result of any bundle version counts for it.
  const isFresh = ({ image }: Read) => cursor.kind !== 'poll' && !isBefore(image);
  const seen = planned.filter((each) => !isFresh(each)).map(({ inspection }) => inspection!);
  await window.lookFor(seen.map(({ inspectionId }) => inspectionId));
  const fresh = planned.filter(isFresh).map(({ inspection }) => inspection!);
  const finished = await enqueueMany(producer, fresh, results);
  for (const inspectionId of finished) window.settle(inspectionId, { kind: 'finished' });
}

/** One bad image is refused and named; the others go on. */
async function readImage({ producer, cursor }: Feed, image: SourceImage): Promise<Read> {
  try {
    const read = await image.read(cursor.times);
    return { image, inspection: await planInspection(producer, read, priorityOf(cursor.kind)) };
  } catch (error) {
    if (!isRefusal(error)) throw error;
    return { image, refusal: { kind: 'refused', image: image.key, code: error.code, message: error.message } };
  }
}

function placeOf(feed: Feed, { image, inspection, refusal }: Read): Place {
  return {
    inspection,
    outcome: refusal,
    passed(outcome) {
      moveTo(feed, image.key);
      feed.onPassed(outcome!);
    },
  };
}
