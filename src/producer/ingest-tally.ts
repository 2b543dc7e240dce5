import { z } from 'zod';
import { type InspectionEvent, statusSchema } from '../shared/contracts.js';
import { dateOf } from '../shared/keys.js';

/** What an ingest has found out so far, kept in its cursor: of every image up to the cursor, each once. */
const count = z.number().int().min(0);

const dayTally = z.strictObject({ images: count, anomalous: count, failed: count });

const worstImage = z.strictObject({
  inspectionId: z.string(),
  imageKey: z.string(),
  capturedAt: z.string(),
  severity: z.number(),
});
export type WorstImage = z.infer<typeof worstImage>;

const faultTally = z.strictObject({
  images: count,
  example: z.strictObject({ image: z.string(), message: z.string() }),
});

export const tallySchema = z.strictObject({
  /** Images up to the cursor, whatever became of them. */
  images: count,
  /** Had a result from before this ingest, and were left alone. */
  finished: count,
  /** Could not be taken: they have no result. */
  refused: count,
  ...(Object.fromEntries(statusSchema.options.map((status) => [status, count])) as Record<Status, typeof count>),
  anomalous: count,
  /** By UTC date of capture. */
  days: z.record(z.string(), dayTally),
  /** By error code: failed and refused images. */
  faults: z.record(z.string(), faultTally),
  /** Of the highest severity, worst first. */
  worst: z.array(worstImage),
});
type Status = z.infer<typeof statusSchema>;
export type Tally = z.infer<typeof tallySchema>;

export const emptyTally = (): Tally => ({
  images: 0,
  finished: 0,
  refused: 0,
  done: 0,
  incomplete: 0,
  failed: 0,
  anomalous: 0,
  days: {},
  faults: {},
  worst: [],
});

/** What a result says, be it read or told. */
export type Finding = Pick<InspectionEvent, 'inspectionId' | 'imageKey' | 'capturedAt'> & {
  status: Status;
  verdict?: InspectionEvent['verdict'];
  severity?: number | null;
  error?: { code: string; message: string } | null;
};

/** What became of an image. */
export type Outcome =
  | { kind: 'result'; finding: Finding }
  | { kind: 'finished' }
  | { kind: 'refused'; image: string; code: string; message: string };

const keptWorst = 24;

export function addToTally(tally: Tally, outcome: Outcome): void {
  tally.images++;
  if (outcome.kind === 'finished') tally.finished++;
  if (outcome.kind === 'refused') {
    tally.refused++;
    addFault(tally, outcome.code, outcome);
  }
  if (outcome.kind === 'result') addFinding(tally, outcome.finding);
}

function addFinding(tally: Tally, finding: Finding): void {
  const { inspectionId, imageKey, capturedAt, status, verdict, severity, error } = finding;
  tally[status]++;
  const date = dateOf(capturedAt);
  tally.days[date] ??= { images: 0, anomalous: 0, failed: 0 };
  const day = tally.days[date];
  day.images++;
  if (status === 'failed') day.failed++;
  if (error) addFault(tally, error.code, { image: imageKey, message: error.message });
  if (verdict !== 'anomalous') return;
  tally.anomalous++;
  day.anomalous++;
  tally.worst.push({ inspectionId, imageKey, capturedAt, severity: severity! });
  tally.worst.sort((a, b) => b.severity - a.severity);
  tally.worst.length = Math.min(tally.worst.length, keptWorst);
}

function addFault(tally: Tally, code: string, { image, message }: { image: string; message: string }): void {
  tally.faults[code] ??= { images: 0, example: { image, message } };
  tally.faults[code].images++;
}
