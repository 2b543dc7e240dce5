import { pMapIterable } from 'p-map';
import {
  type FailedResult,
  failedResultSchema,
  type Inspection,
  type InspectionEvent,
  type InspectionResult,
  resultSchema,
  type Scored,
} from './contracts.js';
import { errorCodes } from './errors.js';
import { resultKey } from './keys.js';
import { publish, type Queues } from './queues.js';
import { getJson, jsonBytes, listAll, type ObjectStore } from './store/object-store.js';

/** The result of an inspection, undefined where there is none yet. */
export async function readResult(store: ObjectStore, inspectionId: string): Promise<InspectionResult | undefined> {
  const value = await getJson(store, resultKey(inspectionId));
  return value === undefined ? undefined : resultSchema.parse(value);
}

export interface StoredResult {
  inspectionId: string;
  /** When its result was last written. */
  modifiedAt: Date;
}

/** The inspections that have a result, oldest first, by date of capture (UTC, yyyy-mm-dd, both ends included). */
export async function* listInspections(
  store: ObjectStore,
  { from = '', to = '9999' }: { from?: string | undefined; to?: string | undefined } = {},
): AsyncGenerator<StoredResult> {
  const prefix = from === to ? `inspections/${from}/` : 'inspections/'; // of one day no page runs into the next
  for await (const { key, modifiedAt } of listAll(store, prefix, `inspections/${from}`)) {
    const [, date, inspectionId, file] = key.split('/');
    if (date! > to) return;
    if (file === 'result.json') yield { inspectionId: inspectionId!, modifiedAt };
  }
}

/** All results, oldest first; those of images captured before the date `since` are left out without reading them. */
export async function* listResults(store: ObjectStore, since?: string): AsyncGenerator<InspectionResult> {
  const read = ({ inspectionId }: StoredResult) => readResult(store, inspectionId);
  const results = pMapIterable(listInspections(store, { from: since }), read, { concurrency: 16, backpressure: 16 });
  for await (const result of results) if (result) yield result; // else it has been deleted meanwhile
}

export async function hasResult(store: ObjectStore, inspectionId: string): Promise<boolean> {
  return (await store.head(resultKey(inspectionId))) !== undefined;
}

/** What an inspection and its result both say of the image. */
export function identityOf(inspection: Inspection | InspectionResult) {
  const { inspectionId, imageKey, camera, product, bundle, capturedAt, region, process } = inspection;
  const identity = { inspectionId, imageKey, camera, product, bundle, capturedAt };
  return { ...identity, ...(region && { region }), ...(process && { process }) };
}

type EventBody = Partial<Pick<InspectionEvent, 'status' | 'error'>> & {
  scored?: Pick<Scored, 'verdict' | 'anomalyScore' | 'threshold' | 'severity'>;
};

/** The event of an inspection: a verdict (without status), a result or a failure. */
export function eventOf(
  inspection: Inspection | InspectionResult,
  { status = null, scored, error = null }: EventBody,
): InspectionEvent {
  const { inspectionId, imageKey, camera, product, bundle, capturedAt } = inspection;
  const { verdict = null, anomalyScore = null, threshold = null, severity = null } = scored ?? {};
  const identity = { inspectionId, imageKey, camera, product, bundle, capturedAt };
  return { ...identity, status, verdict, anomalyScore, threshold, severity, error };
}

export const eventOfResult = (result: InspectionResult): InspectionEvent =>
  eventOf(result, result.status === 'failed' ? result : { status: result.status, scored: result });

/** What a job's failure message, "CODE: text", says. A message without a code came from the queue itself. */
export function parseFailure(message: string): { code: string; message: string } {
  const [, code, text] = /^([A-Z_]+): ([\s\S]*)$/.exec(message) ?? [];
  return code !== undefined && code in errorCodes ? { code, message: text! } : { code: 'STAGE_FAILED', message };
}

/**
 * Leaves a failed result and its events for an inspection whose score or finalize job failed for good. A result that is
 * there already is never replaced; the event goes first, so that no result is without one.
 *
 * @returns whether this call wrote the result.
 */
export async function leaveFailed(
  { store, queues }: { store: ObjectStore; queues: Queues },
  inspection: Inspection,
  stage: 'score' | 'finalize',
  reason: string,
): Promise<boolean> {
  if (await hasResult(store, inspection.inspectionId)) return false;
  const { inspectionId, policy, priority } = inspection;
  const error = { ...parseFailure(reason), stage };
  const event = eventOf(inspection, { status: 'failed', error });
  await publish(queues, 'results', event);
  if (stage === 'score') await publish(queues, 'verdicts', event);
  const finishedAt = new Date().toISOString();
  const head = { schema: 1 as const, ...identityOf(inspection), finishedAt };
  const result: FailedResult = { ...head, status: 'failed', error, policy, priority };
  return await store.putIfAbsent(resultKey(inspectionId), jsonBytes(failedResultSchema.parse(result)), {
    contentType: 'application/json',
  });
}
