import type { Cursor } from '../producer/cursor.js';
import { listImageFiles } from '../producer/image-files.js';
import { keyInStore } from '../producer/image-source.js';
import { assertCameraName, collectFiles, type Ingested, ingestFiles } from '../producer/ingest.js';
import { lastEventId, waitForResults } from '../producer/wait-for-results.js';
import type { InspectionResult } from '../shared/contracts.js';
import { PatchlineError } from '../shared/errors.js';
import { isS3Url } from '../shared/store/s3-client.js';
import { answer, defineCommand, openSession, remark, storeUrlOf } from './command-line.js';
import { type Connection, withConnection } from './connection.js';
import { ingestNamed, type SourceIngest, type SourceIngestOptions } from './ingest-source.js';
import { copyInspection, writeContactSheet } from './inspection-folders.js';
import { assertPlaceForPictures, picturesOption } from './pictures-option.js';
import { createProgress } from './progress.js';
import { describeResult } from './result-lines.js';

interface IngestOptions extends SourceIngestOptions {
  again?: boolean;
  collect?: boolean;
}

export const ingest = defineCommand(
  'ingest <path>',
  'Enqueue the inspection of images of a camera: of a file or folder, which is stored first, or at s3://bucket/prefix, where they stay.',
  'patchline ingest ./today --camera line-1 --wait --out ./results\n' +
    'patchline ingest s3://archive/2023/ --camera line-1 --backfill --out ./report-2023',
)
  .requiredOption('--camera <name>', 'the camera that took them')
  .option('--wait', 'wait for the results; exit 1 if an inspection failed')
  .option(
    '--out <dir>',
    'with --wait: copy results and pictures to DIR/<inspection>/, to look at with DIR/index.html; with --backfill: where its report goes (default: ./backfill-report)',
  )
  .addOption(picturesOption())
  .option('--again', 'inspect anew what already has a result')
  .option('--collect', 'only store them, for a later fit --camera')
  .option(
    '--backfill',
    'many old images: yields to live ones, waits for all results, goes on where it was broken off, reports',
  )
  .action(async (path: string, options: IngestOptions) => {
    const isNamed = isNamedSource(path, options);
    assertTogether(options, isNamed);
    assertCameraName(options.camera);
    if (isNamed) return await ingestFromSource(path, options);
    const { files, skipped } = await listImageFiles(path);
    const report = options.collect ? await collect(files, options) : await inspectAll(files, options);
    const { refused, results } = report;
    for (const { file, error } of refused) remark(`${file}: ${error.code}: ${error.message}`);
    answer(options, { ...report, skipped }, [describe({ ...report, skipped })]);
    if (refused.length > 0 || results?.some(({ status }) => status === 'failed')) process.exitCode = 1;
  });

/** Whether images are named where they lie, or come in numbers that want a cursor. */
const isNamedSource = (path: string, options: IngestOptions): boolean =>
  options.backfill === true || isS3Url(path) || keyInStore(storeUrlOf(options), path) !== undefined;

/** @throws ARGUMENT_INVALID for options that do not go together. */
function assertTogether(options: IngestOptions, isNamed: boolean): void {
  const { wait, again, collect, backfill, out, pictures } = options;
  const faults: [boolean | undefined, string][] = [
    [out !== undefined && !wait && !backfill, '--wait beside --out: results are copied when they are there'],
    [collect && (wait || again || backfill), '--collect without --wait, --again and --backfill: it inspects nothing'],
    [collect && isNamed, '--collect with files outside the store: only these are stored'],
    [
      again && isNamed,
      '--again with files only: what a cursor has passed is not inspected twice by one bundle version',
    ],
    [backfill && pictures !== undefined, '--backfill without --pictures: its report shows the worst images only'],
  ];
  for (const [isFault, expected] of faults) {
    if (isFault) throw new PatchlineError('ARGUMENT_INVALID', `Expected ${expected}`);
  }
  assertPlaceForPictures(options);
}

async function ingestFromSource(path: string, options: IngestOptions): Promise<void> {
  await withConnection(options, async (connection) => {
    if (options.backfill) remark('waits for all results; Ctrl-C breaks it off, the same command goes on from there');
    const done = await ingestNamed(connection, path, options);
    const { cursor, refused } = done;
    for (const { file, error } of refused) remark(`${file}: ${error.code}: ${error.message}`);
    const waits = options.wait === true || options.backfill === true;
    const broken = !cursor.enqueuedAll || (waits && cursor.finishedAt === undefined);
    if (broken) remark('broken off: the same command goes on from there');
    if (options.backfill && !broken) await report(connection, done, options);
    else answerNamed(done, options);
    if (broken || cursor.tally.refused > 0 || (waits && cursor.tally.failed > 0)) process.exitCode = 1;
  });
}

function answerNamed({ cursor, source: _, ...report }: SourceIngest, options: IngestOptions): void {
  const shown = { ...report, busy: 0, collected: 0 };
  answer(options, { ...shown, cursor: headOf(cursor) }, [describe(shown)]);
}

/** What a cursor says beside its counts. */
const headOf = ({ source, camera, after, upTo, startedAt, finishedAt, resumed }: Cursor) => ({
  ...{ source, camera, after, upTo, startedAt, finishedAt, resumed },
});

async function report(
  { producer, store }: Connection,
  { cursor }: SourceIngest,
  options: IngestOptions,
): Promise<void> {
  const { backfillReport, describeBackfill, writeBackfillReport } = await import('./backfill-report.js');
  const found = backfillReport(cursor, await producer.productOf(cursor.camera));
  const page = await writeBackfillReport(store, found, options.out ?? 'backfill-report');
  answer(options, { ...found, page }, [...describeBackfill(found), `report: ${page}`]);
}

interface Report {
  enqueued: number;
  finished: number;
  busy: number;
  collected: number;
  refused: { file: string; error: { code: string; message: string } }[];
  results?: InspectionResult[];
}

function describe(report: Report & { skipped: number }): string {
  const { enqueued, finished, busy, collected, refused, skipped, results } = report;
  const count = (status: string) => results!.filter((result) => result.status === status).length;
  return [
    collected > 0 ? `${collected} collected` : `${enqueued} enqueued`,
    ...(finished > 0 ? [`${finished} had a result already`] : []),
    ...(busy > 0 ? [`${busy} are under way and were left alone`] : []),
    ...(refused.length > 0 ? [`${refused.length} refused`] : []),
    ...(skipped > 0 ? [`${skipped} other files skipped`] : []),
    ...(results
      ? [`results: ${count('done')} done, ${count('incomplete')} incomplete, ${count('failed')} failed`]
      : []),
  ].join(', ');
}

/** Counts outcomes as they come. */
function createReport(tick: () => void) {
  const report: Report = { enqueued: 0, finished: 0, busy: 0, collected: 0, refused: [] };
  const onFile = (ingested: Ingested) => {
    tick();
    if (ingested.outcome !== 'refused') report[ingested.outcome]++;
    else
      report.refused.push({
        file: ingested.file,
        error: { code: ingested.error.code, message: ingested.error.message },
      });
  };
  return { report, onFile };
}

async function collect(files: string[], options: IngestOptions): Promise<Report> {
  const session = await openSession(options);
  const progress = createProgress('collecting', files.length);
  const { report, onFile } = createReport(() => progress.tick());
  await collectFiles(session, options.camera, files, onFile);
  progress.stop();
  return report;
}

async function inspectAll(files: string[], options: IngestOptions): Promise<Report> {
  return await withConnection(options, async (connection) => {
    const from = await lastEventId(connection.queues);
    const progress = createProgress('enqueuing', files.length);
    const { report, onFile } = createReport(() => progress.tick());
    const ids = new Set<string>();
    await ingestFiles(connection.producer, options.camera, files, {
      again: options.again ?? false,
      onFile(ingested) {
        onFile(ingested);
        if ('inspection' in ingested) ids.add(ingested.inspection.inspectionId);
      },
    });
    progress.stop();
    return options.wait ? { ...report, results: await waitForAll(connection, ids, from, options) } : report;
  });
}

async function waitForAll(
  { store, queues, logger }: Connection,
  ids: Set<string>,
  from: string,
  { out, json, pictures = 'overlay' }: IngestOptions,
): Promise<InspectionResult[]> {
  const progress = createProgress('inspecting', ids.size);
  const results: InspectionResult[] = [];
  for await (const result of waitForResults(ids, { store, queues, logger, from, onStall: remark })) {
    progress.tick();
    results.push(result);
    if (!json) progress.print(describeResult(result));
    if (out !== undefined) await copyInspection(store, result, out, pictures);
  }
  progress.stop();
  if (out !== undefined) remark(`pictures: ${await writeContactSheet(out)}`);
  return results;
}
