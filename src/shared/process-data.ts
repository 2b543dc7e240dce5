import { z } from 'zod';
import { PatchlineError } from './errors.js';

/** Readings of a machine when an image was taken, such as temperatures, pressures and times: a number by name. */
export const processSchema = z.record(z.string().min(1).max(100), z.number());
export type ProcessData = z.infer<typeof processSchema>;

/** What an object's metadata holds beside the time of capture, percent-encoded: S3 allows 2,000 bytes in all. */
const maxEncodedBytes = 1_800;

/**
 * Where a name stands in a list, -1 where it does not: as it is, else as the one name of which an exporter made it, which
 * replaces what it does not like by underscores.
 */
export function placeOfName(names: readonly string[], name: string): number {
  const place = names.indexOf(name);
  if (place >= 0) return place;
  const exported = [...names.keys()].filter((index) => names[index]!.replace(/[^A-Za-z0-9_]/g, '_') === name);
  return exported.length === 1 ? exported[0]! : -1;
}

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
