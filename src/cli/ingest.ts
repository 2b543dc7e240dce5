import { listImageFiles } from '../producer/image-files.js';
import { assertCameraName, collectFiles, type Ingested, ingestFiles } from '../producer/ingest.js';
import { lastEventId, waitForResults } from '../producer/wait-for-results.js';
import type { InspectionResult } from '../shared/contracts.js';
import { PatchlineError } from '../shared/errors.js';
import { answer, type CommonOptions, defineCommand, openSession, remark } from './command-line.js';
import { type Connection, withConnection } from './connection.js';
import { copyInspection, writeContactSheet } from './inspection-folders.js';
import { assertPlaceForPictures, type PicturesOptions, picturesOption } from './pictures-option.js';
import { createProgress } from './progress.js';
import { describeResult } from './result-lines.js';

interface IngestOptions extends CommonOptions, PicturesOptions {
  camera: string;
  wait?: boolean;
  again?: boolean;
  collect?: boolean;
}

export const ingest = defineCommand(
  'ingest <path>',
  'Store the images of a file or folder as originals of a camera and enqueue their inspection.',
  'patchline ingest ./today --camera line-1 --wait --out ./results',
)
  .requiredOption('--camera <name>', 'the camera that took them')
  .option('--wait', 'wait for the results; exit 1 if an inspection failed')
  .option('--out <dir>', 'with --wait: copy results and pictures to DIR/<inspection>/, to look at with DIR/index.html')
  .addOption(picturesOption())
  .option('--again', 'inspect anew what already has a result')
  .option('--collect', 'only store them, for a later fit --camera')
  .action(async (path: string, options: IngestOptions) => {
    if (options.out !== undefined && !options.wait) {
      throw new PatchlineError(
        'ARGUMENT_INVALID',
        'Expected --wait beside --out: results are copied when they are there',
      );
    }
    if (options.collect && (options.wait || options.again)) {
      throw new PatchlineError(
        'ARGUMENT_INVALID',
        'Expected --collect without --wait and --again: it inspects nothing',
      );
    }
    assertPlaceForPictures(options);
    assertCameraName(options.camera);
    const { files, skipped } = await listImageFiles(path);
    const report = options.collect ? await collect(files, options) : await inspectAll(files, options);
    const { refused, results } = report;
    for (const { file, error } of refused) remark(`${file}: ${error.code}: ${error.message}`);
    answer(options, { ...report, skipped }, [describe({ ...report, skipped })]);
    if (refused.length > 0 || results?.some(({ status }) => status === 'failed')) process.exitCode = 1;
  });

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
