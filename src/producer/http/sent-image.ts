import type { MultipartFile } from '@fastify/multipart';
import type { FastifyRequest } from 'fastify';
import { z } from 'zod';
import { PatchlineError } from '../../shared/errors.js';
import { capturedAtOf } from '../../shared/image.js';
import { recogniseFormat } from '../../shared/image-format.js';
import { namePattern } from '../../shared/keys.js';
import { parseProcessData } from '../../shared/process-data.js';
import { assertCaptureTime } from '../capture-time.js';
import type { NewOriginal } from '../originals.js';

/** What comes with an image: in the query, as a header (`patchline-` and the name with dashes) or as a field of the form. */
export const imageParameters = {
  camera: z
    .string()
    .regex(namePattern, 'Expected a name of lower-case letters, digits, - and _')
    .describe('The camera that took the image'),
  capturedAt: z
    .string()
    .describe('When it was taken, ISO 8601 with an offset; else the time in its EXIF data, else the time of receipt'),
  captureId: z
    .string()
    .min(1)
    .max(200)
    .describe("The camera's own id of the shot: sent again, it always is the same inspection, even with other bytes"),
  fileName: z
    .string()
    .min(1)
    .max(255)
    .describe('A part of the image key: the same bytes under another name are another image'),
  process: z.string().describe('Process data: JSON of numbers by name'),
};
type Parameter = keyof typeof imageParameters;
const names = Object.keys(imageParameters) as Parameter[];

const headerOf = (name: string): string =>
  `patchline-${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
export const imageHeaders = Object.fromEntries(names.map((name) => [headerOf(name), imageParameters[name].optional()]));

/** How far a time that a client gives may lie ahead of this machine's clock; one of EXIF may be off by a time zone. */
const givenToleranceMs = 5 * 60_000;

export interface SentImage {
  original: NewOriginal;
  captureId: string | undefined;
}

/**
 * The image that a request brings, with what came with it; a field of the form counts before the query, the query before a header.
 *
 * @throws IMAGE_UNREADABLE (no bytes), IMAGE_TOO_LARGE, CAPTURE_TIME_INVALID, PROCESS_DATA_INVALID, REQUEST_INVALID
 */
export async function readSentImage(request: FastifyRequest, maxImageBytes: number): Promise<SentImage> {
  const query = request.query as Record<string, string | undefined>;
  const form = request.isMultipart() ? await readForm(request, maxImageBytes) : { bytes: request.body, fields: {} };
  const bytes = Buffer.isBuffer(form.bytes) ? form.bytes : Buffer.alloc(0);
  const given: Partial<Record<Parameter, string>> = {};
  for (const name of names) {
    const value = form.fields[name] ?? query[name] ?? headerText(request, headerOf(name));
    if (value !== undefined) given[name] = readParameter(name, value);
  }
  const { camera, captureId, process } = given;
  if (camera === undefined) throw invalid('Expected the parameter camera, the name of the camera that took the image');
  if (bytes.length === 0) throw new PatchlineError('IMAGE_UNREADABLE', 'Expected an image but received 0 bytes');
  const capturedAt = await captureTimeOf(bytes, given.capturedAt);
  const { readable: format } = recogniseFormat(bytes);
  const fileName = given.fileName ?? `image${format ? `.${format === 'jpeg' ? 'jpg' : format}` : ''}`;
  const original: NewOriginal = { camera, bytes, fileName, capturedAt };
  if (process !== undefined) original.process = parseProcessData(parseJson(process), 'the image');
  return { original, captureId };
}

/** Node takes the bytes of a header for Latin-1; senders mean UTF-8. */
function headerText({ headers }: FastifyRequest, name: string): string | undefined {
  const value = headers[name];
  return value === undefined ? undefined : Buffer.from(String(value), 'latin1').toString();
}

function readParameter(name: Parameter, value: string): string {
  const parsed = imageParameters[name].safeParse(value);
  if (parsed.success) return parsed.data;
  throw invalid(
    `Expected another value for ${name} than ${JSON.stringify(value)}: ${z.prettifyError(parsed.error).slice(2)}`,
  );
}

async function captureTimeOf(bytes: Uint8Array, given: string | undefined): Promise<string> {
  if (given === undefined) {
    const exif = await capturedAtOf(bytes);
    if (exif !== undefined) assertCaptureTime(exif, 'the EXIF data of the image');
    return exif ?? new Date().toISOString();
  }
  if (!z.iso.datetime({ offset: true }).safeParse(given).success) {
    throw new PatchlineError(
      'CAPTURE_TIME_INVALID',
      `Expected a time such as 2026-01-31T12:00:00.000Z for capturedAt but received ${JSON.stringify(given)}`,
    );
  }
  const capturedAt = new Date(given).toISOString();
  assertCaptureTime(capturedAt, 'capturedAt', givenToleranceMs);
  return capturedAt;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new PatchlineError('PROCESS_DATA_INVALID', `Expected JSON for process but received ${JSON.stringify(text)}`);
  }
}

interface Form {
  bytes: unknown;
  fields: Partial<Record<string, string>>;
}

async function readForm(request: FastifyRequest, maxImageBytes: number): Promise<Form> {
  const form: Form = { bytes: undefined, fields: {} };
  const limits = { fileSize: maxImageBytes, files: 2, fields: names.length, fieldSize: 10_000 };
  for await (const part of request.parts({ limits })) {
    if (part.type === 'file') {
      if (form.bytes !== undefined) throw invalid('Expected one image but received two files');
      form.bytes = await readFilePart(part, maxImageBytes);
    } else {
      const { fieldname, value } = part;
      if (!names.some((name) => name === fieldname)) {
        throw invalid(`Expected the fields image, ${names.join(', ')} but received ${fieldname}`);
      }
      form.fields[fieldname] = typeof value === 'string' ? value : JSON.stringify(value);
    }
  }
  return form;
}

async function readFilePart({ fieldname, file }: MultipartFile, maxImageBytes: number): Promise<Buffer> {
  const bytes = await readBytes(file, maxImageBytes);
  if (fieldname !== 'image') throw invalid(`Expected the image in the field image but received a file in ${fieldname}`);
  if (file.truncated) throw tooLarge(maxImageBytes);
  return bytes;
}

/**
 * The bytes of a body, or IMAGE_TOO_LARGE. What is over the limit is read and thrown away, since a client that is still sending
 * would miss the answer.
 */
export async function readBytes(body: AsyncIterable<Uint8Array>, maxImageBytes: number): Promise<Buffer> {
  let chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of body) {
    size += chunk.length;
    if (size <= maxImageBytes) chunks.push(chunk);
    else chunks = [];
  }
  if (size > maxImageBytes) throw tooLarge(maxImageBytes);
  return Buffer.concat(chunks, size);
}

const invalid = (message: string) => new PatchlineError('REQUEST_INVALID', message);
const tooLarge = (maxImageBytes: number) =>
  new PatchlineError('IMAGE_TOO_LARGE', `Expected an image of at most ${maxImageBytes} bytes but received more`);
