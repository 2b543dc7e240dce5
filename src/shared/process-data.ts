import { z } from 'zod';
import { PatchlineError } from './errors.js';

/** Readings of a machine when an image was taken, such as temperatures, pressures and times: a number by name. */
export const processSchema = z.record(z.string().min(1).max(100), z.number());
export type ProcessData = z.infer<typeof processSchema>;

/** What an object's metadata holds beside the time of capture, percent-encoded: S3 allows 2,000 bytes in all. */
const maxEncodedBytes = 1_800;

/** The reading under a name: exporters of models replace what they do not like in names by underscores. */
export function readingOf(process: ProcessData, name: string): number | undefined {
  return process[name] ?? Object.entries(process).find(([own]) => isSameName(own, name))?.[1];
}

const plain = (name: string): string => name.replace(/[^A-Za-z0-9_]/g, '_');
export const isSameName = (a: string, b: string): boolean => plain(a) === plain(b);

/** Checks process data that came with an image. @throws PROCESS_DATA_INVALID naming `source` */
export function parseProcessData(value: unknown, source: string): ProcessData {
  const parsed = processSchema.safeParse(value);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    const where = issue!.path.length > 0 ? ` at ${issue!.path.join('.')}` : '';
    throw new PatchlineError(
      'PROCESS_DATA_INVALID',
      `Expected numbers by name for the process data of ${source}${where}: ${issue!.message}`,
    );
  }
  const bytes = encodeURIComponent(JSON.stringify(parsed.data)).length;
  if (bytes <= maxEncodedBytes) return parsed.data;
  throw new PatchlineError(
    'PROCESS_DATA_INVALID',
    `Expected at most ${maxEncodedBytes} bytes, percent-encoded as JSON, for the process data of ${source} but received ${bytes}`,
  );
}
