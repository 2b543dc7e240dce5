import exifr from 'exifr';
import sharp, { type Sharp } from 'sharp';
import { messageOf, PatchlineError } from './errors.js';
import { type ImageFormat, recogniseFormat } from './image-format.js';

// Several images are decoded at once, each by one thread, and none is read a second time.
sharp.concurrency(1);
sharp.cache(false);

/** What a header may claim: 16,383 x 16,383 pixels, sharp's own limit and the largest WebP. */
const maxPixels = 16_383 ** 2;

export interface ImageSize {
  height: number;
  width: number;
}

export interface DecodedImage {
  /** (H, W, 3) uint8, sRGB, at the size asked for. */
  pixels: Uint8Array;
  /** Of the upright original: EXIF orientation applied. */
  original: ImageSize;
  format: ImageFormat;
}

interface Header {
  format: ImageFormat;
  original: ImageSize;
  hasAlpha: boolean;
  /** 16 bits a sample, 0 to 65535. */
  isDeep: boolean;
  /** sharp brings a 16-bit RGB file with a colour profile to Display P3, not to sRGB. */
  becomesP3: boolean;
}

/**
 * Decodes an image to RGB at exactly `size`, whatever its kind: EXIF orientation applied first, grey repeated to three
 * channels, CMYK, palettes and embedded colour profiles brought to sRGB, 16-bit samples taken over their full scale, alpha
 * dropped with the stored colours kept, the first page or frame of several. The content decides about the format, not the name.
 *
 * JPEG and WebP are shrunk while they are decoded: the same pixels stored as PNG may differ by some grey levels.
 *
 * Errors: IMAGE_TOO_LARGE (bytes, or pixels claimed by the header), UNSUPPORTED_FORMAT, IMAGE_UNREADABLE. The messages do
 * not name the image: the caller knows its key.
 */
export async function decodeImage(
  bytes: Uint8Array,
  { height, width }: ImageSize,
  { maxImageBytes }: { maxImageBytes: number },
): Promise<DecodedImage> {
  if (bytes.length > maxImageBytes) {
    throw new PatchlineError(
      'IMAGE_TOO_LARGE',
      `Expected an image of at most ${maxImageBytes} bytes but received ${bytes.length}`,
    );
  }
  let header = await readHeader(bytes);
  let image = sharp(bytes, { limitInputPixels: maxPixels }).autoOrient().removeAlpha();
  if (header.hasAlpha) {
    // resize() multiplies colours by alpha, which blackens what is transparent: so alpha goes in a pass of its own.
    const opaque = await toRgb(image, header);
    image = sharp(opaque, { raw: { ...header.original, channels: 3 } });
    header = { ...header, becomesP3: false };
  }
  const samples = await toRgb(image.resize({ width, height, fit: 'fill', kernel: 'linear' }), header);
  const pixels =
    samples instanceof Uint16Array ? Uint8Array.from(samples, (value) => Math.round(value / 257)) : samples;
  return { pixels, original: header.original, format: header.format };
}

/** Size of the upright original and its format, from the header alone. Errors as decodeImage. */
export async function readSize(bytes: Uint8Array): Promise<ImageSize & { format: ImageFormat }> {
  const { original, format } = await readHeader(bytes);
  return { ...original, format };
}

async function readHeader(bytes: Uint8Array): Promise<Header> {
  const format = assertReadable(bytes);
  const metadata = await sharp(bytes, { limitInputPixels: false })
    .metadata()
    .catch((error: unknown) => {
      throw unreadable(format, error);
    });
  const { autoOrient: original, depth, hasAlpha, icc, space } = metadata;
  if (original.height * original.width > maxPixels) {
    throw new PatchlineError(
      'IMAGE_TOO_LARGE',
      `Expected an image of at most ${maxPixels} pixels but its header claims ${original.height} x ${original.width} (height x width)`,
    );
  }
  if (depth !== 'uchar' && depth !== 'ushort') {
    throw new PatchlineError(
      'UNSUPPORTED_FORMAT',
      `Expected unsigned samples of 8 or 16 bits, whose full scale is known, but the image is a ${format.toUpperCase()} of type ${depth}`,
    );
  }
  const isDeep = depth === 'ushort';
  const becomesP3 = isDeep && space === 'rgb16' && icc !== undefined;
  return { format, original, hasAlpha, isDeep, becomesP3 };
}

function assertReadable(bytes: Uint8Array): ImageFormat {
  const { readable, unsupported } = recogniseFormat(bytes);
  if (readable) return readable;
  const expected = 'Expected a JPEG, PNG, TIFF or WebP image but received';
  if (unsupported) throw new PatchlineError('UNSUPPORTED_FORMAT', `${expected} ${unsupported}`);
  const start = Buffer.from(bytes.subarray(0, 8)).toString('hex');
  const received =
    bytes.length === 0 ? '0 bytes' : `${bytes.length} bytes of no known image format, beginning ${start}`;
  throw new PatchlineError('IMAGE_UNREADABLE', `${expected} ${received}`);
}

function unreadable(format: ImageFormat, cause: unknown): PatchlineError {
  const reason = messageOf(cause)
    .split('\n')[0]!
    .replace(/^Input buffer (has corrupt header|contains unsupported image format)/, 'damaged or cut header')
    .replace(/^Warning treated as error.*/, 'damaged or cut data')
    .replace(/[\s:]+$/, '');
  const message = `Expected a whole ${format.toUpperCase()} image but it cannot be decoded: ${reason}`;
  return new PatchlineError('IMAGE_UNREADABLE', message, { cause });
}

/** Runs a pipeline and gives its samples as sRGB: uint16 for a deep image, else uint8. */
async function toRgb(image: Sharp, { format, isDeep, becomesP3 }: Header): Promise<Uint8Array | Uint16Array> {
  if (becomesP3) image.withIccProfile('srgb', { attach: false });
  if (isDeep) image.toColourspace('rgb16').raw({ depth: 'ushort' });
  else image.toColourspace('srgb').raw();
  const { buffer, byteOffset, byteLength } = await image.toBuffer().catch((error: unknown) => {
    throw unreadable(format, error);
  });
  return isDeep ? new Uint16Array(buffer, byteOffset, byteLength / 2) : new Uint8Array(buffer, byteOffset, byteLength);
}

/** PNG of (H, W) grey or (H, W, 3) RGB pixels, compressed for speed. Errors: SHAPE_MISMATCH. */
export async function encodePng(
  pixels: Uint8Array,
  { height, width, channels }: ImageSize & { channels: 1 | 3 },
): Promise<Uint8Array> {
  if (pixels.length !== height * width * channels) {
    throw new PatchlineError(
      'SHAPE_MISMATCH',
      `Expected ${height} x ${width} x ${channels} values for pixels but received ${pixels.length}`,
    );
  }
  return sharp(pixels, { raw: { width, height, channels } })
    .toColourspace(channels === 1 ? 'b-w' : 'srgb') // else grey becomes three channels
    .png({ compressionLevel: 2 })
    .toBuffer();
}

/**
 * The instant of EXIF DateTimeOriginal with its SubSecTimeOriginal, by OffsetTimeOriginal and as UTC where there is none;
 * undefined where the image has no such tag or a date that does not exist.
 */
export async function capturedAtOf(bytes: Uint8Array): Promise<string | undefined> {
  const tags = await readCaptureTags(bytes);
  const [, date, time] = /^(\d{4}:\d\d:\d\d) (\d\d:\d\d:\d\d)/.exec(tags.DateTimeOriginal ?? '') ?? [];
  if (!date || !time) return undefined;
  const local = `${date.replaceAll(':', '-')}T${time}`;
  const [fraction = '0'] = /^\d+/.exec(tags.SubSecTimeOriginal ?? '') ?? [];
  const [offset = 'Z'] = /^[+-]\d\d:\d\d/.exec(tags.OffsetTimeOriginal ?? '') ?? [];
  // Date takes 30 February for 1 March
  const exists = isoOf(`${local}Z`)?.startsWith(local);
  return exists ? isoOf(`${local}.${fraction}${offset}`) : undefined;
}

function isoOf(text: string): string | undefined {
  const instant = new Date(text);
  return Number.isNaN(instant.getTime()) ? undefined : instant.toISOString();
}

type CaptureTags = Partial<Record<(typeof captureTags)[number], string>>;
const captureTags = ['DateTimeOriginal', 'SubSecTimeOriginal', 'OffsetTimeOriginal'] as const;

async function readCaptureTags(bytes: Uint8Array): Promise<CaptureTags> {
  if (!recogniseFormat(bytes).readable) return {};
  try {
    const { exif } = await sharp(bytes, { limitInputPixels: false }).metadata();
    // sharp finds the block in JPEG, PNG and WebP; a TIFF file is such a block itself
    const block = exif?.subarray(exif.toString('latin1', 0, 4) === 'Exif' ? 6 : 0) ?? bytes;
    return (await exifr.parse(block, { pick: [...captureTags], reviveValues: false })) ?? {};
  } catch {
    // Damaged tags say as little as none; whether the image itself can be read is decodeImage's business.
    return {};
  }
}
