import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { listImageFiles } from '../../src/producer/image-files.js';

let directory: string;
const write = async (name: string): Promise<void> => {
  await mkdir(dirname(join(directory, name)), { recursive: true });
  await writeFile(join(directory, name), '');
};

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'image-files-'));
});
afterAll(() => rm(directory, { recursive: true }));

test('takes every image extension in any case at any depth, sorted, and counts the rest', async () => {
  const images = [
    'a.jpg',
    'd-1.jpg',
    'b.JPEG',
    'c.Png',
    'd/e.tif',
    'd/f/g.TIFF',
    'd/f/h.webp',
    'd/i.bmp',
    'j.jp2',
    'k.x.jpg',
  ];
  const others = ['notes.txt', '.hidden.jpg', 'd/.DS_Store', 'd/Thumbs.db', '.cache/one.jpg', 'jpg', 'page.svg'];
  for (const name of [...images, ...others].reverse()) await write(name);
  const { files, skipped } = await listImageFiles(directory);
  expect(files).toEqual(images.map((name) => join(directory, name)).sort());
  expect(skipped).toBe(others.length);
});

test('a single file is taken whatever it is called', async () => {
  for (const name of ['single.dat', '.single'].map((file) => join(directory, file))) {
    await writeFile(name, '');
    expect(await listImageFiles(name)).toEqual({ files: [name], skipped: 0 });
  }
});

test('linked files are taken and linked directories are not entered', async () => {
  await write('linked/original.png');
  await symlink(join(directory, 'linked/original.png'), join(directory, 'linked/link.png'));
  await symlink(join(directory, 'linked'), join(directory, 'linked/loop'));
  const { files, skipped } = await listImageFiles(join(directory, 'linked'));
  expect(files).toEqual(['link.png', 'original.png'].map((name) => join(directory, 'linked', name)));
  expect(skipped).toBe(1);
});

test('an empty directory has no images, and a missing path is an error', async () => {
  await mkdir(join(directory, 'empty'));
  expect(await listImageFiles(join(directory, 'empty'))).toEqual({ files: [], skipped: 0 });
  const missing = join(directory, 'missing');
  await expect(listImageFiles(missing)).rejects.toMatchObject({
    code: 'IMAGE_NOT_FOUND',
    message: `Expected an image file or a directory but cannot open ${missing}`,
  });
});
