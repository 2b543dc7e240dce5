import sharp from 'sharp';
import { describe, expect, test } from 'vitest';
import { capturedAtOf, decodeImage, encodePng, readSize } from '../../src/shared/image.js';
import {
  oddImages,
  orientedScene,
  pngFile,
  scene,
  scenePixels,
  sceneSize,
  type TiffField,
  tiffFile,
} from '../helpers/images.js';

const limits = { maxImageBytes: 1_000_000 };
const odd = await oddImages();

/** Fails with index and count unless every value is within `tolerance`. */
function expectPixels(actual: Uint8Array, expected: Uint8Array, tolerance: number): void {
  expect(actual.length).toBe(expected.length);
  let worst = 0;
  let count = 0;
  for (let i = 0; i < expected.length; i++) {
    const difference = Math.abs(actual[i]! - expected[i]!);
    if (difference > tolerance) count++;
    if (difference > Math.abs(actual[worst]! - expected[worst]!)) worst = i;
  }
  expect(count, `values beyond ${tolerance}; at ${worst}: ${actual[worst]} where ${expected[worst]} is right`).toBe(0);
}

const lossless = /png$|tif|lossless|animated|alpha/;
const toleranceOf = (name: string): number => {
  if (name === 'cmyk.jpg') return 24; // the gamut of print is smaller
  if (name === 'palette.png') return 24;
  if (name.startsWith('16-bit-srgb')) return 2; // goes through a colour profile twice
  return lossless.test(name) ? 1 : 14;
};

describe('unusual images', () => {
  test.each(odd.filter(({ name }) => name !== 'one-pixel.png'))(
    '$name decodes to the scene',
    async ({ name, bytes }) => {
      const { pixels, original } = await decodeImage(bytes, sceneSize, limits);
      expect(original).toEqual(sceneSize);
      expectPixels(pixels, scenePixels(), toleranceOf(name));
    },
  );

  test.each(odd)('$name has the size and format that its header tells', async ({ bytes }) => {
    const { original, format } = await decodeImage(bytes, { height: 5, width: 7 }, limits);
    expect(await readSize(bytes)).toEqual({ ...original, format });
  });

  test.each([
    { height: 24, width: 32 },
    { height: 20, width: 90 },
    { height: 96, width: 128 },
  ])('every kind is resized to $height x $width alike', async (size) => {
    const reference = await decodeImage(await scene().png().toBuffer(), size, limits);
    expect(reference.pixels.length).toBe(size.height * size.width * 3);
    for (const { name, bytes } of odd.filter((image) => image.name !== 'one-pixel.png'))
      expectPixels((await decodeImage(bytes, size, limits)).pixels, reference.pixels, toleranceOf(name) + 1);
  });

  test('one pixel fills the size asked for', async () => {
    const { bytes } = odd.find(({ name }) => name === 'one-pixel.png')!;
    const { pixels, original } = await decodeImage(bytes, { height: 3, width: 2 }, limits);
    expect(original).toEqual({ height: 1, width: 1 });
    expect([...pixels]).toEqual(Array(18).fill(77));
  });
});

describe.each(['jpeg', 'png', 'tiff', 'webp'] as const)('EXIF orientation in %s', (format) => {
  test.each([1, 2, 3, 4, 5, 6, 7, 8])('%i comes out upright', async (orientation) => {
    const bytes = await orientedScene(orientation, format);
    expect(await readSize(bytes)).toEqual({ ...sceneSize, format });
    const { pixels } = await decodeImage(bytes, sceneSize, limits);
    expectPixels(pixels, scenePixels(), format === 'jpeg' ? 14 : 0);
    const small = { height: 12, width: 32 };
    const upright = await decodeImage(await orientedScene(1, format), small, limits);
    expectPixels((await decodeImage(bytes, small, limits)).pixels, upright.pixels, format === 'jpeg' ? 6 : 1);
  });
});

describe('depth and channels', () => {
  const size = { height: 16, width: 64 };
  const ramp = Uint16Array.from({ length: 1024 }, (_, i) => Math.round((i * 65535) / 1023));
  const rightRamp = Uint8Array.from(ramp, (value) => Math.round(value / 257));
  const rampOf = async (bytes: Uint8Array) =>
    (await decodeImage(bytes, size, limits)).pixels.filter((_, i) => i % 3 === 1);

  test('a 16-bit grey PNG keeps its full scale, rounded to 8 bits', async () => {
    const bytes = await sharp(ramp, { raw: { ...size, channels: 1 } })
      .toColourspace('grey16')
      .png()
      .toBuffer();
    expectPixels(await rampOf(bytes), rightRamp, 0);
  });

  test('a 16-bit grey TIFF keeps its full scale, rounded to 8 bits', async () => {
    expectPixels(await rampOf(tiffFile({ ...size, bits: 16 }, new Uint8Array(ramp.buffer))), rightRamp, 0);
  });

  test('16-bit colours below transparent alpha stay as stored', async () => {
    const samples = Uint16Array.from({ length: 4096 }, (_, i) => (i % 4 === 3 ? 0 : ramp[i >> 2]!));
    const bytes = await sharp(samples, { raw: { ...size, channels: 4 } })
      .toColourspace('rgb16')
      .png()
      .toBuffer();
    expectPixels(await rampOf(bytes), rightRamp, 0);
  });

  test('a grey image fills three equal channels, with alpha or without', async () => {
    const grey = Uint8Array.from({ length: 1024 }, (_, i) => i >> 2);
    const withAlpha = Uint8Array.from({ length: 2048 }, (_, i) => (i % 2 ? i >> 3 : i >> 3));
    const plain = sharp(grey, { raw: { ...size, channels: 1 } }).toColourspace('b-w');
    const faint = sharp(withAlpha, { raw: { ...size, channels: 2 } }).toColourspace('b-w');
    const expected = Uint8Array.from({ length: 3072 }, (_, i) => grey[Math.floor(i / 3)]!);
    for (const bytes of [await plain.png().toBuffer(), await faint.png().toBuffer()])
      expectPixels((await decodeImage(bytes, size, limits)).pixels, expected, 0);
  });

  test('a 1-bit PNG becomes black and white', async () => {
    const bytes = pngFile({ height: 2, width: 8, bitDepth: 1 }, Uint8Array.of(0, 0b10100101, 0, 0b11110000));
    const { pixels } = await decodeImage(bytes, { height: 2, width: 8 }, limits);
    const bits = [1, 0, 1, 0, 0, 1, 0, 1, 1, 1, 1, 1, 0, 0, 0, 0];
    expect([...pixels]).toEqual(bits.flatMap((bit) => [bit * 255, bit * 255, bit * 255]));
  });

  test('transparent regions keep their colours when the image is shrunk', async () => {
    const stripes = (channels: 3 | 4) =>
      sharp(
        Uint8Array.from({ length: 1024 * channels }, (_, i) => (i % channels === 3 ? 0 : 200)),
        { raw: { ...size, channels } },
      )
        .png()
        .toBuffer();
    const small = { height: 8, width: 8 };
    const opaque = await decodeImage(await stripes(3), small, limits);
    const { pixels } = await decodeImage(await stripes(4), small, limits);
    expectPixels(pixels, opaque.pixels, 0);
  });
});

describe('encodePng', () => {
  test.each([1, 3] as const)('%i channels come back to the byte, as many as went in', async (channels) => {
    const pixels = Uint8Array.from({ length: 20 * 30 * channels }, (_, i) => (i * 37) % 256);
    const png = await encodePng(pixels, { height: 20, width: 30, channels });
    const metadata = await sharp(png).metadata();
    expect(metadata).toMatchObject({ format: 'png', height: 20, width: 30, channels, isPalette: false });
    const back = await sharp(png)
      .toColourspace(channels === 1 ? 'b-w' : 'srgb')
      .raw()
      .toBuffer();
    expectPixels(back, pixels, 0);
  });

  test('refuses pixels of another length', async () => {
    await expect(encodePng(new Uint8Array(10), { height: 2, width: 2, channels: 3 })).rejects.toMatchObject({
      code: 'SHAPE_MISMATCH',
    });
  });
});

describe('capturedAtOf', () => {
  const withTags = (tags: Record<string, string>, format: 'jpeg' | 'png' | 'webp' = 'jpeg') =>
    scene().withExif({ IFD2: tags }).toFormat(format).toBuffer();

  test.each([
    [{ DateTimeOriginal: '2024:05:06 07:08:09' }, '2024-05-06T07:08:09.000Z'],
    [{ DateTimeOriginal: '2024:05:06 01:08:09', OffsetTimeOriginal: '+02:00' }, '2024-05-05T23:08:09.000Z'],
    [{ DateTimeOriginal: '2024:05:06 22:08:09', OffsetTimeOriginal: '-03:30' }, '2024-05-07T01:38:09.000Z'],
    [{ DateTimeOriginal: '2024:05:06 07:08:09', OffsetTimeOriginal: '   :  ' }, '2024-05-06T07:08:09.000Z'],
    [{ DateTimeOriginal: '2024:05:06 07:08:09', SubSecTimeOriginal: '25' }, '2024-05-06T07:08:09.250Z'],
    [{ DateTimeOriginal: '2024:02:29 07:08:09' }, '2024-02-29T07:08:09.000Z'],
    [{ DateTimeOriginal: '2023:02:29 07:08:09' }, undefined],
    [{ DateTimeOriginal: '2024:13:01 07:08:09' }, undefined],
    [{ DateTimeOriginal: '2024:05:06 25:08:09' }, undefined],
    [{ DateTimeOriginal: '0000:00:00 00:00:00' }, undefined],
    [{ DateTimeOriginal: '    :  :     :  :  ' }, undefined],
    [{ DateTimeDigitized: '2024:05:06 07:08:09' }, undefined],
  ])('%o is %s', async (tags, expected) => {
    expect(await capturedAtOf(await withTags(tags as Record<string, string>))).toBe(expected);
  });

  test.each(['png', 'webp'] as const)('reads %s', async (format) => {
    const bytes = await withTags({ DateTimeOriginal: '2024:05:06 07:08:09' }, format);
    expect(await capturedAtOf(bytes)).toBe('2024-05-06T07:08:09.000Z');
  });

  test('reads TIFF', async () => {
    const text = (content: string): number[] => [...Buffer.from(`${content}\0`)];
    const exif: TiffField[] = [
      [0x9003, 'ascii', text('2024:05:06 07:08:09')],
      [0x9011, 'ascii', text('+02:00')],
    ];
    const bytes = tiffFile({ ...sceneSize, bits: 8, channels: 3 }, scenePixels(), exif);
    expect(await capturedAtOf(bytes)).toBe('2024-05-06T05:08:09.000Z');
    expectPixels((await decodeImage(bytes, sceneSize, limits)).pixels, scenePixels(), 0);
  });

  test('is undefined without tags, with damaged tags and for no image at all', async () => {
    const damaged = await withTags({ DateTimeOriginal: '2024:05:06 07:08:09' });
    damaged.fill(0xff, damaged.indexOf('Exif') + 6, damaged.indexOf('Exif') + 60);
    for (const bytes of [
      await scene().jpeg().toBuffer(),
      damaged,
      new Uint8Array(),
      Buffer.from('BM'),
      Buffer.from('text'),
    ])
      expect(await capturedAtOf(bytes)).toBeUndefined();
  });
});
