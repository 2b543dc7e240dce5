import type { Job } from 'bullmq';
import { z } from 'zod';
import {
  type Inspection,
  type InspectionResult,
  inspectionSchema,
  type Stage,
  stageNames,
} from '../shared/contracts.js';
import { PatchlineError } from '../shared/errors.js';
import { resultKey } from '../shared/keys.js';
import { jobIdOf, lookAt } from '../shared/queues.js';
import { identityOf, leaveFailed, listResults, parseFailure, readResult } from '../shared/results.js';
import type { ObjectStore } from '../shared/store/object-store.js';
import type { Producer } from './enqueue.js';
import { runAgain } from './restart.js';

/** An inspection on the dead-letter list: jobs of it failed for good, or its result is failed or incomplete. */
export interface FailedInspection {
  inspection: Inspection;
  status: 'failed' | 'incomplete' | 'done' | null;
  reasons: { stage: Stage; code: string; message: string }[];
}
interface Entry extends FailedInspection {
  deadJobs: Job[];
}

/** Mark on a result that somebody has put aside. */
const droppedMark = { dropped: 'true' };

/** The dead-letter list: the failed sets of all queues, and the failed and incomplete results, which outlive Redis. */
async function collect({ store, queues }: Producer): Promise<Map<string, Entry>> {
  const entries = new Map<string, Entry>();
  for await (const result of unfinishedResults(store)) {
    const inspection = inspectionOfResult(result);
    entries.set(inspection.inspectionId, {
      inspection,
      status: result.status,
      reasons: reasonsOf(result),
      deadJobs: [],
    });
  }
  for (const stage of stageNames) {
    for await (const job of failedJobs(queues.queue[stage])) {
      const inspection = z.object(inspectionSchema.shape).parse(job.data);
      const { inspectionId } = inspection;
      let entry = entries.get(inspectionId);
      if (!entry) {
        const result = await readResult(store, inspectionId);
        entry = { inspection, status: result?.status ?? null, reasons: [], deadJobs: [] };
        entries.set(inspectionId, entry);
      }
      if (entry.reasons.every((reason) => reason.stage !== stage)) {
        entry.reasons.push({ stage, ...parseFailure(job.failedReason) });
      }
      entry.deadJobs.push(job);
    }
  }
  return entries;
}

async function* failedJobs(queue: Producer['queues']['queue']['score'], page = 1_000): AsyncGenerator<Job> {
  for (let start = 0; ; start += page) {
    const jobs: Job[] = await queue.getFailed(start, start + page - 1);
    yield* jobs;
    if (jobs.length < page) return;
  }
}

/** Failed and incomplete results that nobody has dropped. */
async function* unfinishedResults(store: ObjectStore): AsyncGenerator<InspectionResult> {
  for await (const result of listResults(store)) {
    if (result.status === 'done') continue;
    if (!(await store.head(resultKey(result.inspectionId)))?.metadata.dropped) yield result;
  }
}

function inspectionOfResult(result: InspectionResult): Inspection {
  const { policy, priority } = result as Pick<Inspection, 'policy' | 'priority'>;
  return inspectionSchema.parse({ ...identityOf(result), policy, priority });
}

function reasonsOf(result: InspectionResult): FailedInspection['reasons'] {
  if (result.status === 'failed') return [result.error];
  return Object.entries(result.explanations ?? {})
    .filter(([, { status }]) => status === 'failed')
    .map(([stage, { code = '', message = '' }]) => ({ stage: stage as Stage, code, message }));
}

export async function listFailed(producer: Producer): Promise<FailedInspection[]> {
  return [...(await collect(producer)).values()].map(({ deadJobs: _, ...shown }) => shown);
}

/** @throws INSPECTION_NOT_FOUND when one of the ids is not on the list. */
async function chosenOf(producer: Producer, ids: string[] | 'all'): Promise<Entry[]> {
  const entries = await collect(producer);
  if (ids === 'all') return [...entries.values()];
  return ids.map((id) => {
    const entry = entries.get(id);
    if (entry) return entry;
    throw new PatchlineError('INSPECTION_NOT_FOUND', `Expected a failed or incomplete inspection but received ${id}`);
  });
}

export async function showFailed(producer: Producer, id: string): Promise<FailedInspection> {
  const [{ deadJobs: _, ...shown }] = (await chosenOf(producer, [id])) as [Entry];
  return shown;
}

export interface RetryReport {
  retried: number;
  /** Under way already. */
  busy: number;
  /** Done meanwhile: only their dead jobs were removed. */
  finished: number;
}

/** Inspects again what failed or stayed incomplete, always from score: a retried child mends nothing in a finished parent. */
export async function retryFailed(producer: Producer, ids: string[] | 'all'): Promise<RetryReport> {
  const report: RetryReport = { retried: 0, busy: 0, finished: 0 };
  for (const { inspection, deadJobs } of await chosenOf(producer, ids)) {
    const done = (await readResult(producer.store, inspection.inspectionId))?.status === 'done';
    if (!done && !(await runAgain(producer, inspection))) {
      report.busy++;
      continue;
    }
    report[done ? 'finished' : 'retried']++;
    const leftOver = deadJobs.filter(({ queueName }) => done || !['score', 'finalize'].includes(queueName));
    for (const job of leftOver) await removeIfThere(job);
  }
  return report;
}

/** Takes inspections off the list: their dead jobs go, their results stay and are marked, so that nothing runs them again. */
export async function dropFailed(
  producer: Producer,
  ids: string[] | 'all',
): Promise<{ dropped: number; busy: number }> {
  const { store, queues } = producer;
  const report = { dropped: 0, busy: 0 };
  for (const { inspection, status, reasons, deadJobs } of await chosenOf(producer, ids)) {
    const { inspectionId } = inspection;
    if ((await lookAt(queues, 'finalize', jobIdOf(inspectionId, 'finalize'))).live) {
      report.busy++;
      continue;
    }
    if (status === null) {
      // Its worker died before it wrote the failed result; without one, reconcile would enqueue the image again.
      const { stage, code, message } = reasons.find((reason) => reason.stage === 'finalize') ?? reasons[0]!;
      await leaveFailed(producer, inspection, stage === 'finalize' ? 'finalize' : 'score', `${code}: ${message}`);
    }
    if (status !== 'done') await store.setMetadata(resultKey(inspectionId), droppedMark);
    for (const job of deadJobs) await removeIfThere(job);
    report.dropped++;
  }
  return report;
}

/** A dead child goes with its parent's tree, so it may be gone already; one that is locked again is at work. */
async function removeIfThere(job: Job): Promise<void> {
  try {
    await job.remove();
  } catch (error) {
    if (!/locked|Missing key/.test((error as Error).message)) throw error;
  }
}
