import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import sharp from 'sharp';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { labelledImages, readMask } from '../../../src/fit/labelled-images.js';
import { expectClose } from '../../helpers/arrays.js';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'patchline-labelled-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

async function touch(...names: string[]): Promise<void> {
  for (const name of names) {
    await mkdir(dirname(join(folder, name)), { recursive: true });
    await writeFile(join(folder, name), '');
  }
}

const codes = async () => (await labelledImages(folder)).warnings.map(({ code }) => code);

test('images get the masks of their names, with or without _mask; good images none', async () => {
  await touch('test/good/1.png', 'test/crack/1.jpg', 'test/crack/2.jpg', 'test/crack/notes.txt', 'test/.hidden/1.png');
  await touch('ground_truth/crack/1.png', 'ground_truth/crack/2_mask.png', 'ground_truth/good/1_mask.png');
  const { images, warnings } = await labelledImages(folder);
  expect(images.map(({ name, defect, maskPath }) => [name, defect, maskPath?.slice(folder.length + 1)])).toEqual([
    ['test/crack/1.jpg', 'crack', 'ground_truth/crack/1.png'],
    ['test/crack/2.jpg', 'crack', 'ground_truth/crack/2_mask.png'],
    ['test/good/1.png', null, undefined],
  ]);
  expect(warnings).toEqual([]);
});

test('masks that belong to no image are told', async () => {
  await touch(
    'test/crack/1.jpg',
    'ground_truth/crack/1.png',
    'ground_truth/crack/7_mask.png',
    'ground_truth/dent/1.bmp',
  );
  const { warnings } = await labelledImages(folder);
  expect(warnings).toEqual([
    { code: 'MASK_WITHOUT_IMAGE', message: expect.stringMatching(/^2 masks .*: crack\/7_mask.png, dent\/1.bmp$/) },
  ]);
});

test('defects without a mask are told where others have one', async () => {
  await touch('test/good/1.jpg', ...'1234567'.split('').map((number) => `test/crack/${number}.jpg`));
  expect(await codes()).toEqual([]);
  await touch('ground_truth/crack/1.png');
  const message = expect.stringMatching(/^6 of 7 .*: test\/crack\/2.jpg, .*6.jpg, and 1 more$/);
  expect((await labelledImages(folder)).warnings).toEqual([{ code: 'IMAGE_WITHOUT_MASK', message }]);
});

async function maskOf(values: number[], width: number): Promise<string> {
  const path = join(folder, 'mask.png');
  const raw = { width, height: values.length / width, channels: 1 as const };
  await sharp(Uint8Array.from(values), { raw }).toColourspace('b-w').png().toFile(path);
  return path;
}

test('a mask comes to the size of the model, as the image does', async () => {
  const path = await maskOf([0, 255, 0, 0, 0, 0, 1, 0], 4);
  const want = [0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 0, 0].map(
    (_, i) => [0, 1, 0, 0, 0, 0, 1, 0][4 * (i >> 3) + ((i % 8) >> 1)]!,
  );
  expectClose(await readMask(path, { height: 2, width: 8 }, { height: 200, width: 400 }), want);
});

test('a mask of another shape than its image is refused by name', async () => {
  const path = await maskOf([0, 255, 0, 0, 0, 0, 1, 0], 4);
  const message = `Expected ${path} in the shape of its image, 300 x 300 pixels, but received 4 x 2`;
  await expect(readMask(path, { height: 2, width: 2 }, { height: 300, width: 300 })).rejects.toEqual(
    expect.objectContaining({ code: 'DATASET_INVALID', message }),
  );
});
