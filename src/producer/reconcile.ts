import { setTimeout as sleep } from 'node:timers/promises';
import pMap from 'p-map';
import { inspectionIdOf } from '../shared/keys.js';
import type { Producer } from './enqueue.js';
import { listOriginals, readOriginal, resultIdsOf, type StoredOriginal } from './originals.js';
import { isUnassigned, settleImage, type Versions, versionsOf } from './settle.js';
import { settleNamed } from './settle-named.js';

export interface ReconcileReport {
  /** Originals looked at, and images that unfinished ingests name elsewhere. */
  images: number;
  /** With a result. */
  finished: number;
  /** With a job that will bring one. */
  live: number;
  /** Without either: enqueued again. */
  enqueued: number;
  /** Failed for good, and only now written down as such. */
  failed: number;
  /** Held by a worker: left to the next run. */
  busy: number;
  /** Only collected for a fit. */
  collected: number;
  /** Of a camera without a product or a product without a readable active bundle. */
  unassigned: number;
}
type Outcome = Exclude<keyof ReconcileReport, 'images'>;

export interface ReconcileOptions {
  /** UTC date, yyyy-mm-dd: older images are not looked at. */
  since?: string;
  /** Images younger than this come last and are waited for: a producer may be about to enqueue them. Default 10 s. */
  settleMs?: number;
  /** Ends it between two images, by an AbortError. */
  signal?: AbortSignal;
}

/** Sees to it that every original in the store gets a result: with this, a lost Redis loses nothing. */
export async function reconcile(
  producer: Producer,
  { since, settleMs = 10_000, signal }: ReconcileOptions = {},
): Promise<ReconcileReport> {
  const report: ReconcileReport = {
    images: 0,
    finished: 0,
    live: 0,
    enqueued: 0,
    failed: 0,
    busy: 0,
    collected: 0,
    unassigned: 0,
  };
  const versions = rememberVersions(producer);
  const handle = async (original: StoredOriginal, resultIds: Set<string>) => {
    signal?.throwIfAborted();
    report.images++;
    report[await settleOriginal(producer, original, resultIds, versions)]++;
  };

  const young: StoredOriginal[] = [];
  for await (const group of byCameraAndDate(producer, since)) {
    const resultIds = await resultIdsOf(producer.store, group[0]!.date);
    const old = group.filter(({ modifiedAt }) => Date.now() - modifiedAt.getTime() >= settleMs);
    young.push(...group.filter((original) => !old.includes(original)));
    await pMap(old, (original) => handle(original, resultIds), { concurrency: 8 });
  }
  for (const original of young) {
    await sleep(Math.max(0, original.modifiedAt.getTime() + settleMs - Date.now()), undefined, { signal });
    await handle(original, new Set());
  }
  await settleNamed(producer, {
    ...{ versions, since, settleMs, signal },
    onOutcome(outcome) {
      report.images++;
      report[outcome]++;
    },
  });
  return report;
}

async function* byCameraAndDate({ store }: Producer, since?: string): AsyncGenerator<StoredOriginal[]> {
  let group: StoredOriginal[] = [];
  for await (const original of listOriginals(store, { since })) {
    if (group.length > 0 && (group[0]!.camera !== original.camera || group[0]!.date !== original.date)) {
      yield group;
      group = [];
    }
    group.push(original);
  }
  if (group.length > 0) yield group;
}

/** Product and bundle versions of a camera, read once; undefined where images of this camera cannot be inspected. */
function rememberVersions(producer: Producer): (camera: string) => Promise<Versions | undefined> {
  const known = new Map<string, Promise<Versions | undefined>>();
  const read = async (camera: string): Promise<Versions | undefined> => {
    try {
      return await versionsOf(producer, camera);
    } catch (error) {
      if (isUnassigned(error)) return undefined;
      throw error;
    }
  };
  return (camera) => {
    if (!known.has(camera)) known.set(camera, read(camera));
    return known.get(camera)!;
  };
}

/** Brings one original on its way: an image counts as inspected when any bundle version of its product has a result. */
async function settleOriginal(
  producer: Producer,
  { key, camera, date }: StoredOriginal,
  resultIds: Set<string>,
  versionsOf: (camera: string) => Promise<Versions | undefined>,
): Promise<Outcome> {
  const versions = await versionsOf(camera);
  if (!versions) return 'unassigned';
  // Ids hold no more of the time of capture than its date, which the key has too: most images need no further read.
  const ids = versions.all.map((version) => inspectionIdOf(key, versions.product, version, date));
  if (ids.some((id) => resultIds.has(id))) return 'finished';
  const { image, collected } = await readOriginal(producer.store, key);
  if (collected) return 'collected';
  return (await settleImage(producer, image, versions, 0)).outcome;
}
