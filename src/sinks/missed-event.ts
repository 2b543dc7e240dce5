import type { InspectionEvent, InspectionResult } from '../shared/contracts.js';
import type { EventStream } from '../shared/queues.js';
import { eventOfResult } from '../shared/results.js';

/** The event that a result was, or would have been, told with; undefined where a verdict event cannot be told from it. */
export function missedEvent(stream: EventStream, result: InspectionResult): InspectionEvent | undefined {
  if (stream === 'results') return eventOfResult(result);
  if (result.status !== 'failed') return { ...eventOfResult(result), status: null };
  // One that failed after its verdict does not say what that was.
  return result.error.stage === 'score' ? eventOfResult(result) : undefined;
}
