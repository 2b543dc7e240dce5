import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import pMap from 'p-map';
import { drawPictures, type Read } from '../explain/pictures.js';
import type { Config } from '../shared/config.js';
import { type InspectionResult, resultSchema } from '../shared/contracts.js';
import { readSize } from '../shared/image.js';
import { inspectionFolder } from '../shared/keys.js';
import { thumbnailJpeg } from '../shared/plots/thumbnail.js';
import { listAll, type ObjectStore } from '../shared/store/object-store.js';
import { type Card, contactSheet } from './contact-sheet.js';

/** A directory that people open holds DIR/<inspection>/ for each inspection and DIR/index.html, the contact sheet. */

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
  await addPictures(result, folder, (key) => store.get(key), pictures);
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

/** Writes DIR/index.html over all inspections that lie in DIR, those of earlier runs included. Returns its path. */
export async function writeContactSheet(directory: string): Promise<string> {
  const names = (await readdir(directory)).filter((name) => /^i-\d{8}-[0-9a-f]{24}$/.test(name));
  const cards = await pMap(names, (name) => readCard(join(directory, name)), { concurrency: 8 });
  const path = resolve(directory, 'index.html');
  await writeFile(path, contactSheet(cards.filter((card) => card !== undefined)));
  return path;
}

/** Undefined where there is no result: an inspection that was broken off. */
async function readCard(folder: string): Promise<Card | undefined> {
  const files = await readdir(folder);
  if (!files.includes('result.json')) return undefined;
  const result = resultSchema.parse(JSON.parse(await readFile(join(folder, 'result.json'), 'utf8')));
  if (!files.includes('image.jpg')) return { result, files, aspect: 1 };
  const { width, height } = await readSize(await readFile(join(folder, 'image.jpg')));
  return { result, files, aspect: width / height };
}
