import { crc32, deflateSync } from 'node:zlib';
import sharp, { type Sharp } from 'sharp';
import type { ErrorCode } from '../../src/shared/errors.js';

export interface NamedBytes {
  name: string;
  bytes: Uint8Array;
}

/** One smooth picture in colours that print can hold, 48 x 64 (height x width), of which most other images here are copies in another format. */
export const sceneSize = { height: 48, width: 64 };

export function scenePixels(): Uint8Array {
  const { height, width } = sceneSize;
  return Uint8Array.from({ length: height * width * 3 }, (_, i) => {
    const [y, x, channel] = [Math.floor(i / 3 / width), Math.floor(i / 3) % width, i % 3];
    return [60 + 2 * x, 60 + x + 2 * y, 80 + x + y][channel]!;
  });
}

/** The scene as 16-bit samples: full scale, so that 8-bit 255 is 65535. */
export const deepScenePixels = (): Uint16Array => Uint16Array.from(scenePixels(), (value) => value * 257);

export function scene(): Sharp {
  return sharp(scenePixels(), { raw: { ...sceneSize, channels: 3 } });
}

function chunk(type: string, data: Uint8Array): Buffer {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), data]);
  const framed = Buffer.alloc(body.length + 8);
  framed.writeUInt32BE(data.length, 0);
  body.copy(framed, 4);
  framed.writeUInt32BE(crc32(body), body.length + 4);
  return framed;
}

/** A PNG file from its header fields, its filtered rows and further chunks, right or wrong. */
export function pngFile(
  {
    height,
    width,
    bitDepth = 8,
    colourType = 0,
  }: { height: number; width: number; bitDepth?: number; colourType?: number },
  rows: Uint8Array,
  furtherChunks: { type: string; data: Uint8Array }[] = [],
): Buffer {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([bitDepth, colourType], 8);
  return Buffer.concat([
    Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'),
    chunk('IHDR', header),
    ...furtherChunks.map(({ type, data }) => chunk(type, data)),
    chunk('IDAT', deflateSync(rows)),
    chunk('IEND', new Uint8Array()),
  ]);
}

/** TIFF field types by their size in bytes. */
const tiffTypes = { ascii: [2, 1], short: [3, 2], long: [4, 4] } as const;
export type TiffField = [tag: number, type: keyof typeof tiffTypes, values: number[]];

function tiffDirectory(fields: TiffField[], start: number): Buffer {
  const head = Buffer.alloc(2 + 12 * fields.length + 4);
  const tails: Buffer[] = [];
  let end = start + head.length;
  head.writeUInt16LE(fields.length, 0);
  for (const [k, [tag, type, values]] of fields.entries()) {
    const [code, size] = tiffTypes[type];
    const data = Buffer.alloc(Math.max(4, size * values.length));
    for (const [i, value] of values.entries()) data.writeUIntLE(value, i * size, size);
    const at = 2 + 12 * k;
    head.writeUInt16LE(tag, at);
    head.writeUInt16LE(code, at + 2);
    head.writeUInt32LE(values.length, at + 4);
    if (data.length === 4) data.copy(head, at + 8);
    else {
      head.writeUInt32LE(end, at + 8);
      tails.push(data);
      end += data.length;
    }
  }
  return Buffer.concat([head, ...tails]);
}

/** An uncompressed one-strip TIFF whose directory stands before the samples, so that a cut hits the samples. */
export function tiffFile(
  {
    height,
    width,
    bits,
    format = 1,
    channels = 1,
  }: { height: number; width: number; bits: number; format?: number; channels?: number },
  samples: Uint8Array,
  exif: TiffField[] = [],
): Buffer {
  const fields = (dataStart: number, exifStart: number): TiffField[] => [
    [256, 'long', [width]],
    [257, 'long', [height]],
    [258, 'short', Array(channels).fill(bits)],
    [259, 'short', [1]],
    [262, 'short', [channels === 3 ? 2 : 1]],
    [273, 'long', [dataStart]],
    [277, 'short', [channels]],
    [278, 'long', [height]],
    [279, 'long', [samples.length]],
    [339, 'short', Array(channels).fill(format)],
    ...(exif.length > 0 ? [[34665, 'long', [exifStart]] as TiffField] : []),
  ];
  const exifStart = 8 + tiffDirectory(fields(0, 0), 8).length;
  const exifBlock = exif.length > 0 ? tiffDirectory(exif, exifStart) : Buffer.alloc(0);
  const directory = tiffDirectory(fields(exifStart + exifBlock.length, exifStart), 8);
  return Buffer.concat([Buffer.from('II*\0\x08\0\0\0', 'latin1'), directory, exifBlock, samples]);
}

const bytesOf = (array: Float32Array | Uint16Array | Uint32Array): Uint8Array => new Uint8Array(array.buffer);

/** The scene as JPEG whose frame header claims another size. */
async function jpegClaiming(height: number, width: number): Promise<Buffer> {
  const jpeg = await scene().jpeg().toBuffer();
  const frame = jpeg.indexOf(Buffer.from([0xff, 0xc0]));
  jpeg.writeUInt16BE(height, frame + 5);
  jpeg.writeUInt16BE(width, frame + 7);
  return jpeg;
}

/** The scene in each readable format, by file extension; the TIFF files have their directory at either end. */
export async function sceneFiles(): Promise<Record<string, Buffer>> {
  return {
    jpg: await scene().jpeg({ quality: 95, chromaSubsampling: '4:4:4' }).toBuffer(),
    'progressive.jpg': await scene().jpeg({ quality: 95, chromaSubsampling: '4:4:4', progressive: true }).toBuffer(),
    png: await scene().png().toBuffer(),
    'interlaced.png': await scene().png({ progressive: true }).toBuffer(),
    tif: tiffFile({ ...sceneSize, bits: 8, channels: 3 }, scenePixels()),
    'lzw.tiff': await scene().tiff({ compression: 'lzw' }).toBuffer(),
    webp: await scene().webp({ quality: 95 }).toBuffer(),
    'lossless.webp': await scene().webp({ lossless: true }).toBuffer(),
  };
}

async function truncatedImages(): Promise<NamedBytes[]> {
  const files = Object.entries(await sceneFiles());
  const shares = { early: 0.1, half: 0.5, late: 0.95 };
  return files.flatMap(([extension, bytes]) =>
    Object.entries(shares).map(([where, share]) => ({
      name: `cut-${where}.${extension}`,
      bytes: bytes.subarray(0, Math.floor(bytes.length * share)),
    })),
  );
}

async function unreadableImages(): Promise<NamedBytes[]> {
  const jpeg = await scene().jpeg().toBuffer();
  const scrambled = Buffer.from(jpeg);
  scrambled.fill(0xff, jpeg.length - 200, jpeg.length - 100);
  const rows = new Uint8Array(100);
  return [
    { name: 'empty.jpg', bytes: new Uint8Array() },
    { name: 'one-byte.jpg', bytes: Uint8Array.of(0xff) },
    { name: 'zeros.png', bytes: new Uint8Array(1000) },
    { name: 'text.jpg', bytes: Buffer.from('This is a text and no image at all.\n') },
    { name: 'page.png', bytes: Buffer.from('<!doctype html><html><body><svg></svg></body></html>') },
    { name: 'sound.webp', bytes: Buffer.from('RIFF\x24\0\0\0WAVEfmt and so on, and so on', 'latin1') },
    { name: 'header-only.png', bytes: (await scene().png().toBuffer()).subarray(0, 33) },
    { name: 'scrambled.jpg', bytes: scrambled },
    { name: 'zero-wide.png', bytes: pngFile({ height: 10, width: 0 }, rows) },
    { name: 'zero-high.png', bytes: pngFile({ height: 0, width: 10 }, rows) },
    { name: 'zero-wide.jpg', bytes: await jpegClaiming(48, 0) },
    { name: 'zero-wide.tif', bytes: tiffFile({ height: 10, width: 0, bits: 8 }, rows) },
    { name: 'claims-more-rows.jpg', bytes: await jpegClaiming(480, 64) },
    ...(await truncatedImages()),
  ];
}

function bmpFile(): Buffer {
  const bmp = Buffer.alloc(54 + 16);
  bmp.write('BM', 'latin1');
  bmp.writeUInt32LE(bmp.length, 2);
  bmp.writeUInt32LE(54, 10);
  bmp.writeUInt32LE(40, 14);
  bmp.writeInt32LE(2, 18);
  bmp.writeInt32LE(2, 22);
  bmp.writeUInt16LE(1, 26);
  bmp.writeUInt16LE(24, 28);
  return bmp;
}

async function unsupportedImages(): Promise<NamedBytes[]> {
  const ramp = Float32Array.from({ length: 16 * 16 }, (_, i) => i / 255);
  const size = { height: 16, width: 16 };
  const text = (content: string) => Buffer.from(content, 'latin1');
  return [
    { name: 'part.bmp', bytes: bmpFile() },
    { name: 'bmp-in-disguise.jpg', bytes: bmpFile() },
    { name: 'part.jp2', bytes: text('\0\0\0\x0cjP  \r\n\x87\n\0\0\0\x14ftypjp2 \0\0\0\0jp2 ') },
    { name: 'codestream.jp2', bytes: text('\xff\x4f\xff\x51\0\x29\0\0\0\0\0\x40') },
    { name: 'part.jxl', bytes: text('\xff\x0a\x7f\x01\x02\x03\x04\x05') },
    { name: 'part.heic', bytes: text('\0\0\0\x18ftypheic\0\0\0\0mif1heic') },
    { name: 'part.pdf', bytes: text('%PDF-1.4\n1 0 obj\n') },
    { name: 'part.pgm', bytes: text('P5\n2 2\n255\n\x01\x02\x03\x04') },
    {
      name: 'drawing.svg',
      bytes: text('<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>'),
    },
    { name: 'part.gif', bytes: await scene().gif().toBuffer() },
    { name: 'gif-in-disguise.png', bytes: await scene().gif().toBuffer() },
    { name: 'part.avif', bytes: await scene().avif({ effort: 0 }).toBuffer() },
    { name: 'float.tif', bytes: tiffFile({ ...size, bits: 32, format: 3 }, bytesOf(ramp)) },
    { name: 'signed.tif', bytes: tiffFile({ ...size, bits: 16, format: 2 }, new Uint8Array(512)) },
    { name: '32-bit.tif', bytes: tiffFile({ ...size, bits: 32 }, bytesOf(Uint32Array.from(ramp, (v) => v * 2 ** 31))) },
  ];
}

async function tooLargeImages(): Promise<NamedBytes[]> {
  const huge = { height: 50_000, width: 50_000 };
  return [
    { name: 'claims-50000.png', bytes: pngFile(huge, new Uint8Array(100)) },
    { name: 'claims-50000.tif', bytes: tiffFile({ ...huge, bits: 8 }, new Uint8Array(100)) },
    { name: 'claims-50000.jpg', bytes: await jpegClaiming(50_000, 50_000) },
  ];
}

/** Files that cannot be inspected, each with the code that it must end with. The largest has some kilobytes. */
export async function badImages(): Promise<(NamedBytes & { code: ErrorCode })[]> {
  const withCode = (images: NamedBytes[], code: ErrorCode) => images.map((image) => ({ ...image, code }));
  return [
    ...withCode(await unreadableImages(), 'IMAGE_UNREADABLE'),
    ...withCode(await unsupportedImages(), 'UNSUPPORTED_FORMAT'),
    ...withCode(await tooLargeImages(), 'IMAGE_TOO_LARGE'),
  ];
}

/** The scene stored as a turned or mirrored sensor would: EXIF says which sides of the picture are row 0 and column 0. */
export async function orientedScene(orientation: number, format: 'jpeg' | 'png' | 'tiff' | 'webp'): Promise<Buffer> {
  const [bottom, right] = [sceneSize.height - 1, sceneSize.width - 1];
  const place = [
    (row: number, column: number) => [row, column], // 1: top, left
    (row: number, column: number) => [row, right - column], // 2: top, right
    (row: number, column: number) => [bottom - row, right - column], // 3: bottom, right
    (row: number, column: number) => [bottom - row, column], // 4: bottom, left
    (row: number, column: number) => [column, row], // 5: left, top
    (row: number, column: number) => [column, right - row], // 6: right, top
    (row: number, column: number) => [bottom - column, right - row], // 7: right, bottom
    (row: number, column: number) => [bottom - column, row], // 8: left, bottom
  ][orientation - 1]!;
  const turned = orientation > 4;
  const height = turned ? sceneSize.width : sceneSize.height;
  const width = turned ? sceneSize.height : sceneSize.width;
  const upright = scenePixels();
  const stored = Uint8Array.from({ length: upright.length }, (_, i) => {
    const [y, x] = place(Math.floor(i / 3 / width), Math.floor(i / 3) % width) as [number, number];
    return upright[(y * sceneSize.width + x) * 3 + (i % 3)]!;
  });
  const image = sharp(stored, { raw: { height, width, channels: 3 } }).withMetadata({ orientation });
  if (format === 'png') return image.png().toBuffer();
  if (format === 'webp') return image.webp({ lossless: true }).toBuffer();
  if (format === 'tiff') return image.tiff({ compression: 'lzw' }).toBuffer();
  return image.jpeg({ quality: 95 }).toBuffer();
}

/** Two frames or pages, the scene first. */
async function twoFrames(format: 'tiff' | 'webp'): Promise<Buffer> {
  const frames = [await scene().png().toBuffer(), await scene().negate().png().toBuffer()];
  return sharp(frames, { join: { animated: true } })
    .toFormat(format, format === 'webp' ? { lossless: true } : { compression: 'lzw' })
    .toBuffer();
}

/** Images of unusual kinds that must be inspected like any other: all but the last show the scene. */
export async function oddImages(): Promise<NamedBytes[]> {
  const files = await sceneFiles();
  const deep = () => sharp(deepScenePixels(), { raw: { ...sceneSize, channels: 3 } }).toColourspace('rgb16');
  const seeThrough = () => scene().ensureAlpha(0.25);
  const damagedText = [{ type: 'tEXt', data: new Uint8Array(4) }];
  return [
    ...Object.entries(files).map(([extension, bytes]) => ({ name: `scene.${extension}`, bytes })),
    { name: 'png-in-disguise.jpg', bytes: files.png! },
    { name: 'no-extension', bytes: files.jpg! },
    { name: 'trailing-bytes.jpg', bytes: Buffer.concat([files.jpg!, Buffer.alloc(100, 7)]) },
    { name: 'cmyk.jpg', bytes: await scene().toColourspace('cmyk').jpeg({ quality: 95 }).toBuffer() },
    { name: 'display-p3.jpg', bytes: await scene().withIccProfile('p3').jpeg({ quality: 95 }).toBuffer() },
    { name: 'palette.png', bytes: await scene().png({ palette: true, colours: 256 }).toBuffer() },
    { name: 'alpha.png', bytes: await seeThrough().png().toBuffer() },
    { name: 'alpha.webp', bytes: await seeThrough().webp({ lossless: true, exact: true }).toBuffer() },
    { name: '16-bit.png', bytes: await deep().png().toBuffer() },
    { name: '16-bit-srgb.png', bytes: await scene().toColourspace('rgb16').withIccProfile('srgb').png().toBuffer() },
    {
      name: '16-bit-srgb-alpha.png',
      bytes: await seeThrough().toColourspace('rgb16').withIccProfile('srgb').png().toBuffer(),
    },
    { name: '16-bit.tif', bytes: tiffFile({ ...sceneSize, bits: 16, channels: 3 }, bytesOf(deepScenePixels())) },
    { name: 'two-pages.tif', bytes: await twoFrames('tiff') },
    { name: 'animated.webp', bytes: await twoFrames('webp') },
    { name: 'sideways.jpg', bytes: await orientedScene(6, 'jpeg') },
    { name: 'one-pixel.png', bytes: pngFile({ height: 1, width: 1 }, Uint8Array.of(0, 77), damagedText) },
  ];
}
