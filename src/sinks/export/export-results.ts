import { createReadStream, createWriteStream } from 'node:fs';
import { mkdtemp, rename, rm } from 'node:fs/promises';
import { basename, dirname, extname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { pipeline } from 'node:stream/promises';
import { pMapIterable } from 'p-map';
import type { InspectionResult, Verdict } from '../../shared/contracts.js';
import { messageOf, PatchlineError } from '../../shared/errors.js';
import { listInspections, readResult, type StoredResult } from '../../shared/results.js';
import type { ObjectStore } from '../../shared/store/object-store.js';
import { columnsWith } from './columns.js';
import { writeCsv } from './csv.js';
import { writeParquet } from './parquet.js';

const writers = { '.csv': writeCsv, '.parquet': writeParquet };
const resultsAtOnce = 16;

export interface ExportOptions {
  product: string;
  camera?: string;
  /** Dates of capture, UTC, both included. */
  from?: string;
  to?: string;
  verdict?: Verdict;
  /** .csv or .parquet; replaced once the export is whole. */
  file: string;
}

export interface ExportReport {
  rows: number;
  columns: number;
  /** Inspections whose result.json cannot be read. */
  unreadable: { inspectionId: string; reason: string }[];
}

/**
 * Writes one row per inspection, in the order of dates of capture. The results are read once and kept beside the file until all
 * columns are known: memory does not grow with their number. @throws ARGUMENT_INVALID
 */
export async function exportResults(store: ObjectStore, options: ExportOptions): Promise<ExportReport> {
  const { file } = options;
  const write = writerOf(file);
  const folder = await mkdtemp(join(dirname(file), `.${basename(file)}-`)).catch((error) => {
    throw new PatchlineError(
      'ARGUMENT_INVALID',
      `Expected a folder that can be written to for ${file}: ${messageOf(error)}`,
    );
  });
  try {
    const spool = join(folder, 'results.jsonl');
    const { processNames, unreadable } = await gather(store, options, spool);
    const columns = columnsWith(processNames);
    const whole = join(folder, 'whole');
    const rows = await write(whole, columns, readSpool(spool));
    await rename(whole, file);
    return { rows, columns: columns.length, unreadable };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function writerOf(file: string) {
  const ending = extname(file);
  if (ending in writers) return writers[ending as keyof typeof writers];
  throw new PatchlineError('ARGUMENT_INVALID', `Expected a file that ends in .csv or .parquet but received ${file}`);
}

/** Copies the results that are asked for to one file, without what no column shows. */
async function gather(store: ObjectStore, options: ExportOptions, spool: string) {
  const processNames = new Set<string>();
  const unreadable: ExportReport['unreadable'] = [];
  const read = async ({ inspectionId }: StoredResult) => {
    try {
      return await readResult(store, inspectionId);
    } catch (error) {
      if (error instanceof PatchlineError) throw error; // the store's, not the result's
      unreadable.push({ inspectionId, reason: messageOf(error) });
      return undefined;
    }
  };
  async function* lines() {
    for await (const result of pMapIterable(listInspections(store, options), read, { concurrency: resultsAtOnce })) {
      if (!result || !isWanted(result, options)) continue;
      for (const name of Object.keys(result.process ?? {})) processNames.add(name);
      yield lineOf(result);
    }
  }
  await pipeline(lines, createWriteStream(spool));
  return { processNames, unreadable };
}

function lineOf(result: InspectionResult): string {
  const text = JSON.stringify(result.status === 'failed' ? result : { ...result, vectors: undefined });
  // readline takes these two for the end of a line; JSON leaves them as they are
  return `${text.replaceAll('\u2028', '\\u2028').replaceAll('\u2029', '\\u2029')}\n`;
}

const isWanted = (result: InspectionResult, { product, camera, verdict }: ExportOptions): boolean =>
  result.product === product &&
  (camera === undefined || result.camera === camera) &&
  (verdict === undefined || (result.status !== 'failed' && result.verdict === verdict));

async function* readSpool(spool: string): AsyncGenerator<InspectionResult> {
  for await (const line of createInterface({ input: createReadStream(spool) })) yield JSON.parse(line);
}
