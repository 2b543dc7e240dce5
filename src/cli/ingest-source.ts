import type { Cursor } from '../producer/cursor.js';
import { type ImageSource, openSource } from '../producer/image-source.js';
import { ingestSource } from '../producer/ingest-source.js';
import type { Outcome } from '../producer/ingest-tally.js';
import type { InspectionResult } from '../shared/contracts.js';
import { readResult } from '../shared/results.js';
import { type CommonOptions, remark } from './command-line.js';
import { abortWhenAskedToEnd, type Connection } from './connection.js';
import { copyInspection, writeContactSheet } from './inspection-folders.js';
import type { PicturesOptions } from './pictures-option.js';
import { type Advance, createRateProgress } from './rate-progress.js';
import { describeResult } from './result-lines.js';

export interface SourceIngestOptions extends CommonOptions, PicturesOptions {
  camera: string;
  wait?: boolean;
  backfill?: boolean;
}

export interface SourceIngest {
  source: ImageSource;
  cursor: Cursor;
  /** Of this run. */
  enqueued: number;
  finished: number;
  refused: { file: string; error: { code: string; message: string } }[];
  skipped: number;
  /** With --wait. */
  results?: InspectionResult[];
}

/** Runs an ingest that keeps a cursor, from where an earlier one was broken off, and shows how far it is. */
export async function ingestNamed(
  connection: Connection,
  where: string,
  options: SourceIngestOptions,
): Promise<SourceIngest> {
  const { store, config, producer, logger } = connection;
  const source = await openSource(store, where, options.camera, config.limits);
  const run = { listed: 0, finished: 0, skipped: 0, refused: [] as SourceIngest['refused'] };
  const advance: Advance = { done: 0, total: undefined, anomalous: 0, failed: 0 };
  const asking = abortWhenAskedToEnd();
  const waiting = Boolean(options.wait && !options.backfill);
  const progress = createRateProgress(options.backfill ? 'backfill' : 'ingest', () => advance);
  const results = waiting ? collectResults(connection, options, progress.print) : undefined;
  const counter = new AbortController();
  let counting = Promise.resolve();
  try {
    const cursor = await ingestSource(producer, source, {
      ...{ camera: options.camera, logger, signal: asking.signal },
      kind: options.backfill ? 'backfill' : 'ingest',
      wait: Boolean(options.wait || options.backfill),
      onStall: progress.print,
      onStart(begun) {
        const { images, anomalous, failed } = begun.tally;
        Object.assign(advance, { done: images, anomalous, failed });
        if (begun.resumed > 0)
          progress.print(`going on behind ${begun.after ?? 'the beginning'}: ${images} images are done`);
        counting = countAhead(source, begun.after, counter.signal).then((ahead) => {
          advance.total = ahead === undefined ? undefined : images + ahead;
        });
      },
      onPage(images, skipped) {
        run.listed += images;
        run.skipped += skipped;
      },
      onOutcome(outcome) {
        advance.done++;
        note(outcome, run, advance);
        if (outcome.kind === 'result') results?.add(outcome.finding.inspectionId);
      },
    });
    const { listed, ...rest } = run;
    const enqueued = listed - run.finished - run.refused.length;
    return { source, cursor, enqueued, ...rest, ...(results && { results: await results.all() }) };
  } finally {
    progress.stop();
    asking.stop();
    counter.abort();
    await counting;
  }
}

function note(outcome: Outcome, run: Pick<SourceIngest, 'finished' | 'refused'>, advance: Advance): void {
  if (outcome.kind === 'finished') run.finished++;
  else if (outcome.kind === 'refused') {
    const { image, code, message } = outcome;
    run.refused.push({ file: image, error: { code, message } });
  } else if (outcome.finding.status === 'failed') advance.failed++;
  else if (outcome.finding.verdict === 'anomalous') advance.anomalous++;
}

/** Lists the source once more beside the work, so that the time left can be told; undefined where that was broken off. */
async function countAhead(
  source: ImageSource,
  after: string | undefined,
  signal: AbortSignal,
): Promise<number | undefined> {
  let count = 0;
  try {
    for await (const { images } of source.pages(after)) {
      if (signal.aborted) return undefined;
      count += images.length;
    }
  } catch {
    return undefined; // the ingest meets the same fault and tells it
  }
  return count;
}

/** Reads results as they come, prints them and copies what people look at. */
function collectResults(
  { store }: Connection,
  { out, json, pictures = 'overlay' }: SourceIngestOptions,
  print: (line: string) => void,
) {
  const results: InspectionResult[] = [];
  let reading = Promise.resolve();
  const read = async (inspectionId: string) => {
    const result = await readResult(store, inspectionId);
    if (!result) return; // somebody has just begun it anew
    results.push(result);
    if (!json) print(describeResult(result));
    if (out !== undefined) await copyInspection(store, result, out, pictures);
  };
  return {
    add(inspectionId: string) {
      reading = reading.then(() => read(inspectionId));
      reading.catch(() => undefined); // all() throws it
    },
    async all(): Promise<InspectionResult[]> {
      await reading;
      if (out !== undefined) remark(`pictures: ${await writeContactSheet(out)}`);
      return results;
    },
  };
}
