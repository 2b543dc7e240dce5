import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import pMap from 'p-map';
import { drawPictures, type Read } from '../explain/pictures.js';
import type { Config } from '../shared/config.js';
import { type InspectionResult, resultSchema } from '../shared/contracts.js';
import { readSize } from '../shared/image.js';
import { inspectionFolder } from '../shared/keys.js';
import { thumbnailJpeg } from '../shared/plots/thumbnail.js';
import { readerOf } from '../shared/read-image.js';
import { reviewSchema } from '../shared/reviews.js';
import { listAll, type ObjectStore } from '../shared/store/object-store.js';
import { type Card, contactSheet } from './contact-sheet.js';

/** A directory that people open holds DIR/<inspection>/ for each inspection and DIR/index.html, the contact sheet. */

/** An inspection that no store holds: its artefacts by file name, and the original where it could be read. */
export interface Inspected {
  result: InspectionResult;
  files: Record<string, Uint8Array>;
  original?: Uint8Array;
}

/** Writes an inspection to DIR/<inspection>/ and adds what people look at; `store` has its bundle. */
export async function writeInspection(
  { result, files, original }: Inspected,
  directory: string,
  pictures: Config['pictures'],
  store: ObjectStore,
): Promise<void> {
  const folder = resolve(directory, result.inspectionId);
  await mkdir(folder, { recursive: true });
  for (const [name, bytes] of Object.entries(files)) await writeFile(join(folder, name), bytes);
  await writeFile(join(folder, 'result.json'), `${JSON.stringify(result, null, 1)}\n`);
  const ownBytes = (key: string) => (key === result.imageKey ? original : files[basename(key)]);
  await addPictures(result, folder, async (key) => ownBytes(key) ?? (await store.get(key)), pictures);
}

/** Copies result.json and the artefacts of an inspection to DIR/<inspection>/ and adds what people look at. */
export async function copyInspection(
  store: ObjectStore,
  result: InspectionResult,
  directory: string,
  pictures: Config['pictures'],
): Promise<void> {
  const folder = resolve(directory, result.inspectionId);
  await mkdir(folder, { recursive: true });
  for await (const { key } of listAll(store, `${inspectionFolder(result.inspectionId)}/`)) {
    await writeFile(join(folder, basename(key)), await store.get(key));
  }
  await addPictures(result, folder, readerOf(store, result), pictures);
}

/** Adds image.jpg, a small copy of the original, and with `all` every picture that can be drawn; nothing without a verdict. */
export async function addPictures(
  result: InspectionResult,
  folder: string,
  read: Read,
  pictures: Config['pictures'],
): Promise<void> {
  if (result.status === 'failed') return;
  const original = await read(result.imageKey);
  await writeFile(join(folder, 'image.jpg'), await thumbnailJpeg(original));
  if (pictures !== 'all') return;
  const drawn = await drawPictures(result, async (key) => (key === result.imageKey ? original : await read(key)));
  for (const [name, bytes] of Object.entries(drawn)) await writeFile(join(folder, name), bytes);
}

/**
 * Writes DIR/index.html over all inspections that lie in DIR, or in a folder `below` it, those of earlier runs included.
 *
 * @returns the path of the page
 */
export async function writeContactSheet(directory: string, below = '.'): Promise<string> {
  const parent = resolve(directory, below);
  await mkdir(parent, { recursive: true });
  const names = (await readdir(parent)).filter((name) => /^i-\d{8}-[0-9a-f]{24}$/.test(name));
  const cards = await pMap(names, (name) => readCard(directory, join(below, name)), { concurrency: 8 });
  const path = resolve(directory, 'index.html');
  await writeFile(path, contactSheet(cards.filter((card) => card !== undefined)));
  return path;
}

/** Undefined where there is no result: an inspection that was broken off. */
async function readCard(directory: string, folder: string): Promise<Card | undefined> {
  const path = resolve(directory, folder);
  const files = await readdir(path);
  if (!files.includes('result.json')) return undefined;
  const readJson = async (name: string): Promise<unknown> => JSON.parse(await readFile(join(path, name), 'utf8'));
  const result = resultSchema.parse(await readJson('result.json'));
  const review = files.includes('review.json') ? reviewSchema.parse(await readJson('review.json')) : undefined;
  if (!files.includes('image.jpg')) return { result, review, folder, files, aspect: 1 };
  const { width, height } = await readSize(await readFile(join(path, 'image.jpg')));
  return { result, review, folder, files, aspect: width / height };
}
