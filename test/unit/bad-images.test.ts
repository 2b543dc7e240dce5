import { describe, expect, test } from 'vitest';
import { PatchlineError } from '../../src/shared/errors.js';
import { decodeImage, readSize } from '../../src/shared/image.js';
import { badImages, scene, sceneFiles, scenePixels, sceneSize } from '../helpers/images.js';

const limits = { maxImageBytes: 1_000_000 };
const bad = await badImages();
const files = Object.entries(await sceneFiles());

const errorOf = (bytes: Uint8Array, size = sceneSize): Promise<unknown> =>
  decodeImage(bytes, size, limits).then(
    () => 'no error',
    (error: unknown) => error,
  );

test.each(bad)('$name ends with $code', async ({ bytes, code }) => {
  for (const size of [sceneSize, { height: 7, width: 5 }]) {
    const error = await errorOf(bytes, size);
    expect(error).toBeInstanceOf(PatchlineError);
    expect(error).toMatchObject({ code, retryable: false });
    expect((error as PatchlineError).message).toMatch(/^Expected .+ but .+[^:\s]$/);
  }
});

test('names of bad images are unique, since they become file names', () => {
  expect(new Set(bad.map(({ name }) => name)).size).toBe(bad.length);
});

test.each([
  ['part.bmp', /JPEG, PNG, TIFF or WebP .* BMP/],
  ['bmp-in-disguise.jpg', /JPEG, PNG, TIFF or WebP .* BMP/],
  ['part.jp2', /JPEG 2000/],
  ['codestream.jp2', /JPEG 2000/],
  ['float.tif', /unsigned samples of 8 or 16 bits.* TIFF of type float/],
  ['empty.jpg', /received 0 bytes/],
  ['text.jpg', /no known image format/],
  ['claims-50000.png', /268402689 pixels .* 50000 x 50000/],
])('the message of %s says what was expected and received', async (name, message) => {
  const { bytes } = bad.find((image) => image.name === name)!;
  expect(((await errorOf(bytes)) as PatchlineError).message).toMatch(message);
});

test('an image of more bytes than allowed is refused before it is opened', async () => {
  const bytes = await scene().png().toBuffer();
  const refused = decodeImage(bytes, sceneSize, { maxImageBytes: bytes.length - 1 });
  await expect(refused).rejects.toMatchObject({
    code: 'IMAGE_TOO_LARGE',
    message: `Expected an image of at most ${bytes.length - 1} bytes but received ${bytes.length}`,
  });
  await expect(decodeImage(bytes, sceneSize, { maxImageBytes: bytes.length })).resolves.toBeDefined();
});

test('readSize refuses what has no readable header, with the same codes', async () => {
  const headerFaults = bad.filter(({ name }) => /^(empty|text|part|float|zero|claims-50000|header-only)/.test(name));
  expect(headerFaults.length).toBeGreaterThan(10);
  for (const { name, bytes, code } of headerFaults.filter((image) => image.name !== 'header-only.png'))
    await expect(readSize(bytes), name).rejects.toMatchObject({ code });
});

describe.each(files)('a cut %s', (extension, bytes) => {
  test('is unreadable at every length, or whole when only the end mark is lost', async () => {
    const { pixels: whole } = await decodeImage(bytes, sceneSize, limits);
    expect(whole.length).toBe(scenePixels().length);
    const endMark = extension.endsWith('png') ? 12 : 0; // an IEND chunk holds nothing
    const step = Math.ceil(bytes.length / 80);
    const lengths = new Set([...Array(80).keys()].flatMap((k) => [k, k * step, bytes.length - 1 - k]));
    for (const length of [...lengths].filter((n) => n >= 0 && n < bytes.length)) {
      const error = await errorOf(bytes.subarray(0, length));
      if (length >= bytes.length - endMark) expect(error, `cut to ${length}`).toBe('no error');
      else expect(error, `cut to ${length}`).toMatchObject({ code: 'IMAGE_UNREADABLE' });
    }
  });
});
