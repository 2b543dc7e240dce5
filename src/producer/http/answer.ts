import { type InspectionEvent, type InspectionResult, scoredInspectionSchema } from '../../shared/contracts.js';
import { jobIdOf } from '../../shared/queues.js';
import { eventOf, eventOfResult, readResult } from '../../shared/results.js';
import type { Enqueued } from '../enqueue.js';
import type { HttpContext } from './context.js';

/** How often the store and the queue are asked beside the event stream: events may be lost with Redis. */
const lookMs = 1_000;
/** The event of a failure comes just before its result. */
const soonMs = 20;

export type Wait = 'verdict' | 'result';
export interface Answered {
  outcome: Enqueued;
  /** Absent where `signal` was aborted before. */
  answer?: InspectionEvent | InspectionResult;
}

/** Starts an inspection and waits for its verdict or result; one that is there already is the answer at once. */
export async function awaitAnswer(
  { producer, feed }: HttpContext,
  { inspectionId, wait }: { inspectionId: string; wait: Wait },
  start: () => Promise<Enqueued>,
  signal: AbortSignal,
): Promise<Answered> {
  let event: InspectionEvent | undefined;
  let wake = () => {};
  const unsubscribe = feed.subscribe(wait === 'verdict' ? 'verdicts' : 'results', (entry) => {
    if (entry.event.inspectionId !== inspectionId) return;
    event = entry.event;
    wake();
  });
  const pause = (ms: number) =>
    new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms);
      wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  signal.addEventListener('abort', () => wake());
  const look = async () =>
    wait === 'verdict'
      ? (event ?? (await findVerdict(producer, inspectionId)) ?? event) // it may be told while that is looked for
      : await readResult(producer.store, inspectionId);
  try {
    const outcome = await start();
    for (;;) {
      const answer = await look();
      if (answer) return { outcome, answer };
      if (signal.aborted) return { outcome };
      await pause(event ? soonMs : lookMs);
    }
  } finally {
    unsubscribe();
  }
}

/** The verdict of an inspection that was told before somebody listened. */
async function findVerdict(
  { store, queues }: HttpContext['producer'],
  inspectionId: string,
): Promise<InspectionEvent | undefined> {
  const [result, finalize] = await Promise.all([
    readResult(store, inspectionId),
    queues.queue.finalize.getJob(jobIdOf(inspectionId, 'finalize')),
  ]);
  if (result) return eventOfResult(result);
  if (!finalize) return undefined;
  const { scored, ...inspection } = scoredInspectionSchema.parse(finalize.data);
  return eventOf(inspection, { scored });
}
