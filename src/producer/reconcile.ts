import { setTimeout as sleep } from 'node:timers/promises';
import pMap from 'p-map';
import { listVersions } from '../shared/bundle.js';
import type { Inspection } from '../shared/contracts.js';
import { codeOf } from '../shared/errors.js';
import { inspectionIdOf } from '../shared/keys.js';
import { failedJob, isStuck, type JobState, jobIdOf, lookAt } from '../shared/queues.js';
import { hasResult, leaveFailed } from '../shared/results.js';
import { inspectionOf, type Producer } from './enqueue.js';
import { listOriginals, readOriginal, resultIdsOf, type StoredOriginal } from './originals.js';
import { restart } from './restart.js';

export interface ReconcileReport {
  /** Originals looked at. */
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
  const versions = createVersionLookup(producer);
  const handle = async (original: StoredOriginal, resultIds: Set<string>) => {
    signal?.throwIfAborted();
    report.images++;
    report[await settle(producer, original, resultIds, versions)]++;
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

interface Versions {
  product: string;
  active: string;
  all: string[];
}

/** Product and bundle versions of a camera, read once; undefined where images of this camera cannot be inspected. */
function createVersionLookup(producer: Producer): (camera: string) => Promise<Versions | undefined> {
  const known = new Map<string, Promise<Versions | undefined>>();
  const read = async (camera: string): Promise<Versions | undefined> => {
    try {
      const product = await producer.productOf(camera);
      const active = await producer.activeVersionOf(product);
      const all = new Set([active, ...(await listVersions(producer.store, product))]);
      return { product, active, all: [...all] };
    } catch (error) {
      if (['CAMERA_UNKNOWN', 'BUNDLE_NOT_FOUND', 'BUNDLE_DAMAGED'].includes(codeOf(error))) return undefined;
      throw error;
    }
  };
  return (camera) => {
    if (!known.has(camera)) known.set(camera, read(camera));
    return known.get(camera)!;
  };
}

/** Brings one original on its way: an image counts as inspected when any bundle version of its product has a result. */
async function settle(
  producer: Producer,
  { key, camera, date }: StoredOriginal,
  resultIds: Set<string>,
  versionsOf: (camera: string) => Promise<Versions | undefined>,
): Promise<Outcome> {
  const versions = await versionsOf(camera);
  if (!versions) return 'unassigned';
  const { product, active, all } = versions;
  // Ids hold no more of the time of capture than its date, which the key has too: most images need no further read.
  if (all.some((version) => resultIds.has(inspectionIdOf(key, product, version, date)))) return 'finished';
  const { image, collected } = await readOriginal(producer.store, key);
  if (collected) return 'collected';
  const inspections = all.map((version) => inspectionOf(image, product, version, producer.config));
  return await settleInspections(producer, inspections, active);
}

interface Look {
  inspection: Inspection;
  score: JobState;
  finalize: JobState;
}

/** One look at score, then finalize, then the result: work moves only in that direction, so none slips through. */
async function settleInspections(producer: Producer, inspections: Inspection[], active: string): Promise<Outcome> {
  const { store, queues } = producer;
  const looks: Look[] = [];
  for (const inspection of inspections) {
    const score = await lookAt(queues, 'score', jobIdOf(inspection.inspectionId, 'score'));
    const finalizeId = jobIdOf(inspection.inspectionId, 'finalize');
    const finalize = await lookAt(queues, 'finalize', finalizeId);
    const stuck = finalize.live && (await isStuck(queues.redis, queues.queue.finalize.toKey(finalizeId)));
    if (score.live || (finalize.live && !stuck)) return 'live';
    looks.push({ inspection, score, finalize });
  }
  for (const { inspection } of looks) if (await hasResult(store, inspection.inspectionId)) return 'finished';

  const withJobs = looks.filter(({ score, finalize }) => score.exists || finalize.exists);
  for (const { inspection } of withJobs) {
    for (const stage of ['finalize', 'score'] as const) {
      const dead = await failedJob(queues, stage, jobIdOf(inspection.inspectionId, stage));
      // Its worker died before it could write this down itself.
      if (dead)
        return (await leaveFailed({ store, queues }, inspection, stage, dead.failedReason)) ? 'failed' : 'finished';
    }
  }
  // Under the version whose jobs are there, since these have to go; else as the producer would now.
  const chosen = withJobs[0] ?? looks.find(({ inspection }) => inspection.bundle === active)!;
  return (await restart(queues, chosen.inspection)) ? 'enqueued' : 'busy';
}
