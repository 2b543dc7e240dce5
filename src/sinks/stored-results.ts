import type { InspectionEvent, InspectionResult } from '../shared/contracts.js';
import type { EventStream } from '../shared/queues.js';
import { identityOf } from '../shared/results.js';
import type { ObjectStore } from '../shared/store/object-store.js';

export interface StoredResult {
  inspectionId: string;
  modifiedAt: Date;
}

/** The inspections that have a result, by date of capture (UTC, yyyy-mm-dd, both ends included). */
export async function* listResults(
  store: ObjectStore,
  { from = '', to = '9999' }: { from?: string; to?: string } = {},
): AsyncGenerator<StoredResult> {
  const prefix = 'inspections/';
  let after: string | undefined = `${prefix}${from}`;
  do {
    const page = await store.list(prefix, { after, limit: 10_000 }); // a directory reads its names anew for each page
    for (const { key, modifiedAt } of page.objects) {
      const [, date, inspectionId, file] = key.split('/');
      if (date! > to) return;
      if (file === 'result.json') yield { inspectionId: inspectionId!, modifiedAt };
    }
    after = page.next;
  } while (after !== undefined);
}

/** The event that a result was, or would have been, told with; undefined where a verdict event cannot be told from it. */
export function eventOfResult(stream: EventStream, result: InspectionResult): InspectionEvent | undefined {
  const { region: _, process: __, ...identity } = identityOf(result);
  if (result.status === 'failed') {
    const { status, error } = result;
    // One that failed after its verdict does not say what that was.
    if (stream === 'verdicts' && error.stage !== 'score') return undefined;
    const nothing = { verdict: null, anomalyScore: null, threshold: null, severity: null };
    return { ...identity, status, ...nothing, error };
  }
  const { verdict, anomalyScore, threshold, severity } = result;
  const status = stream === 'verdicts' ? null : result.status;
  return { ...identity, status, verdict, anomalyScore, threshold, severity, error: null };
}
