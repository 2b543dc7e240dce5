import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { pictureNames } from '../../src/explain/pictures.js';
import type { InspectionResult } from '../../src/shared/contracts.js';
import { inspectionFolder } from '../../src/shared/keys.js';
import { openStore } from '../../src/shared/store/open-store.js';
import { runCommand, startCommand } from '../helpers/command-line.js';
import { createFittedStore, type FittedStore } from '../helpers/fitted-store.js';

let fitted: FittedStore;
let root: string;
let env: Record<string, string>;
/** A good plate, a scratched one and a file that is no image. */
let paths: string[];

const artefacts = ['anomaly-map.npy', 'gradcam.npy', 'image.jpg', 'overlay.png', 'result.json'];
const everything = [...artefacts, ...pictureNames].sort();

beforeAll(async () => {
  fitted = await createFittedStore(1, 1);
  root = await mkdtemp(join(tmpdir(), 'patchline-pictures-'));
  env = { PATCHLINE_STORE: fitted.storeUrl };
  const images = join(root, 'images');
  await mkdir(images);
  for (const folder of ['good', 'scratch']) {
    const [name] = await readdir(join(fitted.images, 'test', folder));
    await writeFile(join(images, `${folder}.jpg`), await readFile(join(fitted.images, 'test', folder, name!)));
  }
  await writeFile(join(images, 'torn.jpg'), 'no image');
  paths = ['good', 'scratch', 'torn'].map((name) => join(images, `${name}.jpg`));
}, 120_000);
afterAll(async () => {
  await rm(root, { recursive: true });
  await fitted.remove();
});

/** Folders of the inspections with all pictures that `inspect` wrote, by image. */
let inspected: Record<string, string>;

/** The results of a command that writes to root/`out`, and the files of each inspection, by image. */
async function run(args: string[], out: string) {
  const { code, stdout, stderr } = await runCommand([...args, '--out', join(root, out), '--json'], env);
  expect(code, stderr).toBe(1); // one image is none
  const json: InspectionResult[] | { results: InspectionResult[] } = JSON.parse(stdout);
  const results = Array.isArray(json) ? json : json.results;
  const files: Record<string, string[]> = {};
  const folders: Record<string, string> = {};
  for (const { imageKey, inspectionId } of results) {
    const name = basename(imageKey, '.jpg').replace(/^[0-9a-f]{16}-/, '');
    folders[name] = join(root, out, inspectionId);
    files[name] = (await readdir(folders[name])).sort();
  }
  const page = await readFile(join(root, out, 'index.html'), 'utf8');
  const groups = [...page.matchAll(/<article class="(\w+)"/g)].map(([, group]) => group);
  expect(groups).toEqual(['anomalous', 'failed', 'good']);
  const shown = [...page.matchAll(/src="([^"]*)"/g)].map(([, path]) => join(root, out, path!));
  for (const path of shown) await readFile(path); // rejects where there is none
  return { results, files, folders };
}

const inspect = (out: string, ...more: string[]) => run(['inspect', ...paths, '--product', 'plate', ...more], out);

test('inspect draws what the policy explains, and with --pictures all everything of every image', async () => {
  const usual = await inspect('usual');
  expect(usual.files).toEqual({ good: ['image.jpg', 'result.json'], scratch: artefacts, torn: ['result.json'] });

  const { files, results, folders } = await inspect('all', '--pictures', 'all');
  inspected = folders;
  expect(files).toEqual({ good: everything, scratch: everything, torn: ['result.json'] });
  expect(results.map((result) => result.status === 'failed' || result.risk !== undefined)).toEqual([true, true, true]);
});

test('the finalizing stage stores all pictures where the configuration says so; they are those of inspect', async () => {
  env = { ...env, PATCHLINE_PICTURES: 'all', PATCHLINE_EXPLAIN: 'all' };
  const up = startCommand(['up'], env);
  await up.printed('ready');
  try {
    const images = join(root, 'images');
    const copied = await run(['ingest', images, '--camera', 'line-1', '--wait'], 'copied');
    expect(copied.files).toEqual({ good: everything, scratch: everything, torn: ['result.json'] });
    const store = await openStore(fitted.storeUrl);
    for (const { imageKey, inspectionId } of copied.results) {
      const name = basename(imageKey, '.jpg').slice(17);
      if (name === 'torn') continue;
      for (const picture of pictureNames) {
        const stored = await store.get(`${inspectionFolder(inspectionId)}/${picture}`);
        const drawn = await readFile(join(inspected[name]!, picture));
        expect(Buffer.compare(stored, drawn), `${name} ${picture}`).toBe(0);
      }
    }
  } finally {
    up.child.kill('SIGTERM');
    await up.ended;
  }
});

test('pictures need a place to go', async () => {
  const { code, stderr } = await runCommand(['inspect', paths[0]!, '--product', 'plate', '--pictures', 'all'], env);
  expect([code, stderr]).toEqual([2, expect.stringContaining('ARGUMENT_INVALID: Expected --out beside --pictures')]);
});
