import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { listImageFiles } from '../../src/producer/image-files.js';
import { collectFiles, type Ingested } from '../../src/producer/ingest.js';
import { readProcessSidecar } from '../../src/producer/process-sidecar.js';
import { configSchema } from '../../src/shared/config.js';
import { placeOfName } from '../../src/shared/process-data.js';
import { openStore } from '../../src/shared/store/open-store.js';

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'patchline-sidecar-'));
});
afterAll(() => rm(root, { recursive: true, force: true }));

const write = (name: string, text: string) => writeFile(join(root, name), text);
const sidecarOf = (name: string) => readProcessSidecar(join(root, name));

test('an image takes the sidecar of its full name, else that of its name without extension, else none', async () => {
  await write('a.png.json', '\uFEFF{"process": {"temperature_c": 231.5, "pressure bar": -8e1}, "operator": "kim"}');
  await write('a.json', '{"process": {"temperature_c": 1}}');
  expect(await sidecarOf('a.png')).toEqual({ temperature_c: 231.5, 'pressure bar': -80 });
  expect(await sidecarOf('a.jpg')).toEqual({ temperature_c: 1 });
  expect(await sidecarOf('b.png')).toBeUndefined();
  expect(await sidecarOf(`${'x'.repeat(251)}.png`)).toBeUndefined();
});

test('a sidecar that is not numbers by name under process is refused, by its name', async () => {
  const bad = {
    'no JSON': '{"process": ',
    'NaN is not JSON': '{"process": {"t": NaN}}',
    'no process': '{"proces": {"t": 1}}',
    'no object': '[1]',
    'a text': '{"process": {"t": "1"}}',
    'a null': '{"process": {"t": null}}',
    infinite: '{"process": {"t": 1e999}}',
    nested: '{"process": {"t": {"u": 1}}}',
    list: '{"process": [1]}',
    'too many': JSON.stringify({ process: Object.fromEntries([...Array(300).keys()].map((n) => [`name_${n}`, n])) }),
  };
  for (const [name, text] of Object.entries(bad)) {
    await write('bad.png.json', text);
    await expect(sidecarOf('bad.png'), name).rejects.toMatchObject({
      code: 'PROCESS_DATA_INVALID',
      message: expect.stringContaining('bad.png.json'),
    });
  }
  await write('labelled.json', '{"shapes": []}'); // another program's file beside labelled.png
  expect(await sidecarOf('labelled.png')).toBeUndefined();
  await mkdir(join(root, 'folder.png.json'));
  await expect(sidecarOf('folder.png')).rejects.toMatchObject({ code: 'PROCESS_DATA_INVALID' });
});

test('a name is found as it is, else as the only one that an exporter may have made it of', () => {
  expect(placeOfName(['a b', 'a_b'], 'a_b')).toBe(1);
  expect(placeOfName(['x', 'melt temperature [°C]'], 'melt_temperature___C_')).toBe(1);
  expect(placeOfName(['a b', 'a-b'], 'a_b')).toBe(-1);
  expect(placeOfName(['온도', '압력'], '압력')).toBe(1);
  expect(placeOfName(['온도', '압력'], '습도')).toBe(-1);
  expect(placeOfName([], 'constructor')).toBe(-1);
});

test('a folder is taken with its sidecars: they are no other files, and a bad one costs its image alone', async () => {
  const folder = join(root, 'folder');
  await mkdir(join(folder, 'deep'), { recursive: true });
  const files = {
    'one.png': '1',
    'one.png.json': '{"process": {"t": 1}}',
    'two.png': '2',
    'two.json': '{"process": {"t": "warm"}}',
    'deep/three.png': '3',
    'two.png.txt': '',
    'deep/one.png.json': '{}',
  };
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text);
  const { files: images, skipped } = await listImageFiles(folder);
  expect(skipped).toBe(2);
  const ingested: Ingested[] = [];
  const store = await openStore(join(root, 'store'));
  await collectFiles({ store, config: configSchema.parse({}) }, 'line-1', images, (each) => ingested.push(each));
  const outcomes = ingested.map((each) => [
    each.file.slice(folder.length + 1),
    each.outcome === 'refused' ? each.error.code : 'image' in each && each.image.process,
  ]);
  expect(Object.fromEntries(outcomes)).toEqual({
    'one.png': { t: 1 },
    'two.png': 'PROCESS_DATA_INVALID',
    'deep/three.png': undefined,
  });
});
