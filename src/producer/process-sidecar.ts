import { readFile } from 'node:fs/promises';
import { extname } from 'node:path';
import { messageOf, PatchlineError } from '../shared/errors.js';
import { type ProcessData, parseProcessData } from '../shared/process-data.js';

/**
 * What the sidecar of `a.png` may be called, the first that is there counts: `a.png.json`, `a.json`. The second may be another
 * program's, such as that of a labelling tool: without "process" it is no sidecar.
 */
export function sidecarNamesOf(image: string): string[] {
  const bare = image.slice(0, image.length - extname(image).length);
  return [...new Set([`${image}.json`, `${bare}.json`])];
}

/**
 * The process data that lie beside an image file, undefined where it has no sidecar.
 *
 * @throws PROCESS_DATA_INVALID naming the sidecar
 */
export async function readProcessSidecar(imagePath: string): Promise<ProcessData | undefined> {
  for (const sidecar of sidecarNamesOf(imagePath)) {
    const text = await readIfThere(sidecar);
    if (text !== undefined) return parseSidecar(text, sidecar, imagePath);
  }
  return undefined;
}

async function readIfThere(sidecar: string): Promise<string | undefined> {
  try {
    return await readFile(sidecar, 'utf8');
  } catch (cause) {
    if (['ENOENT', 'ENAMETOOLONG'].includes((cause as NodeJS.ErrnoException).code ?? '')) return undefined;
    throw invalid(sidecar, messageOf(cause), cause);
  }
}

/**
 * The numbers under `process` in the text of a sidecar; what else stands there is left alone. Undefined for what is no sidecar.
 *
 * @throws PROCESS_DATA_INVALID naming `sidecar`
 */
export function parseSidecar(text: string, sidecar: string, image: string): ProcessData | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text.replace(/^\uFEFF/, ''));
  } catch (cause) {
    throw invalid(sidecar, messageOf(cause), cause);
  }
  if (typeof value === 'object' && value !== null && 'process' in value) {
    return parseProcessData(value.process, sidecar);
  }
  if (sidecar !== `${image}.json`) return undefined;
  throw invalid(sidecar, 'it has no "process"');
}

const invalid = (sidecar: string, fault: string, cause?: unknown): PatchlineError =>
  new PatchlineError(
    'PROCESS_DATA_INVALID',
    `Expected JSON such as {"process": {"temperature_c": 231.5}} in ${sidecar}: ${fault}`,
    { cause },
  );
