import { type ChildProcess, execFile, fork } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, mkdtemp, readdir, readFile, rename, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { listAll, type ObjectStore } from '../../src/shared/store/object-store.js';
import { openStore } from '../../src/shared/store/open-store.js';

/** What is particular to a store in a directory; what all stores share is in store-contract.test.ts. */
const text = (value: string) => new TextEncoder().encode(value);
const racer = fileURLToPath(new URL('../helpers/store-racer.mjs', import.meta.url));
let root: string;
let store: ObjectStore;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'patchline-directory-'));
  store = await openStore(root);
});
afterEach(() => rm(root, { recursive: true, force: true }));

async function keys(prefix = ''): Promise<string[]> {
  const found = [];
  for await (const { key } of listAll(store, prefix)) found.push(key);
  return found;
}

/** Every file and folder below the store. */
const tree = async () => (await readdir(root, { recursive: true })).sort();

test('a relative path is made absolute and a missing directory is made', async () => {
  const directory = join(root, 'a', 'b');
  expect((await openStore(relative(process.cwd(), directory))).url).toBe(directory);
  expect((await stat(directory)).isDirectory()).toBe(true);
});

test('an object is a plain file under its key, its metadata a hidden one', async () => {
  await store.put('inspections/2026-11-21/i-1/overlay.png', text('png'), { metadata: { a: 'b' } });
  expect(await readFile(join(root, 'inspections/2026-11-21/i-1/overlay.png'), 'utf8')).toBe('png');
  expect(
    JSON.parse(await readFile(join(root, '.metadata/inspections/2026-11-21/i-1/overlay.png.json'), 'utf8')),
  ).toEqual({ a: 'b' });
  expect(await keys()).toEqual(['inspections/2026-11-21/i-1/overlay.png']);
});

test('a deleted object takes its metadata and its empty folders along', async () => {
  await store.put('a/b/c/d', text('1'), { metadata: { a: 'b' } });
  await store.put('a/e', text('2'));
  await store.delete('a/b/c/d');
  expect(await tree()).toEqual(['a', 'a/e']);
});

test('files that are no objects are neither listed nor in the way', async () => {
  await mkdir(join(root, 'images/line-1'), { recursive: true });
  const others = [
    'redis.json',
    '.DS_Store',
    'images/.DS_Store',
    'images/line-1/.3f2a.tmp',
    'images/back\\slash',
    '.x/y',
  ];
  await mkdir(join(root, '.x'));
  for (const name of others) await writeFile(join(root, name), 'x');
  await store.put('images/line-1/a.jpg', text('a'));
  expect(await keys()).toEqual(['images/line-1/a.jpg']);
  expect(await keys('.x/')).toEqual([]);
  expect(await keys('../')).toEqual([]);
});

test('files and folders that a user placed or linked there are objects', async () => {
  const elsewhere = await mkdtemp(join(tmpdir(), 'patchline-elsewhere-'));
  await writeFile(join(elsewhere, 'a.jpg'), 'a');
  await symlink(elsewhere, join(root, 'linked'));
  await symlink(join(elsewhere, 'none'), join(root, 'dangling'));
  await writeFile(join(root, 'placed.jpg'), 'p');
  expect(await keys()).toEqual(['linked/a.jpg', 'placed.jpg']);
  await store.put('linked/b.jpg', text('b'));
  await store.delete('linked/b.jpg');
  await store.delete('linked/a.jpg');
  expect(await readdir(elsewhere)).toEqual([]); // the folder itself is the user's
  await rm(elsewhere, { recursive: true });
});

test('a key that is the folder of another is KEY_INVALID, naming both', async () => {
  await store.put('a/b', text('1'));
  const both = (key: string, other: string) => ({
    code: 'KEY_INVALID',
    message: expect.stringMatching(new RegExp(`"${key}".*"${other}"`)),
  });
  for (const put of [store.put, store.putIfAbsent]) {
    await expect(put('a', text('2'))).rejects.toMatchObject(both('a', 'a/b'));
    await expect(put('a/b/c/d', text('2'))).rejects.toMatchObject(both('a/b/c/d', 'a/b'));
    await expect(put('a', text('2'), { metadata: { m: '1' } })).rejects.toMatchObject(both('a', 'a/b'));
  }
  expect(await tree()).toEqual(expect.arrayContaining(['a', 'a/b']));
  expect(await keys()).toEqual(['a/b']);
  expect((await tree()).filter((name) => name.endsWith('.tmp') || /\/\.\d/.test(name))).toEqual([]);
});

test('metadata that was staged when the writer crashed belongs to the object that it published', async () => {
  await store.putIfAbsent('a/b', text('1'), { metadata: { writer: 'first' } });
  // As if it had crashed before the staged metadata was given its plain name ...
  const { ino, mtimeNs } = await stat(join(root, 'a/b'), { bigint: true });
  const staged = join(root, '.metadata/a', `.${ino}-${mtimeNs}.json`);
  await rename(join(root, '.metadata/a/b.json'), staged);
  expect((await store.head('a/b'))!.metadata).toEqual({ writer: 'first' });
  await store.setMetadata('a/b', { writer: 'second' });
  expect((await store.head('a/b'))!.metadata).toEqual({ writer: 'second' });
  // ... and before it had published the object: metadata of a file that never became it.
  await writeFile(join(root, '.metadata/a', '.1-1.json'), '{"writer":"never"}');
  expect((await store.head('a/b'))!.metadata).toEqual({ writer: 'second' });
});

test('metadata survives a copy of the directory', async () => {
  await store.put('a/b', text('1'), { metadata: { a: 'b' } });
  const copy = `${root}-copy`;
  await promisify(execFile)('cp', ['-r', root, copy]);
  expect((await (await openStore(copy)).head('a/b'))!.metadata).toEqual({ a: 'b' });
  await rm(copy, { recursive: true });
});

const racerNames = ['p', 'q', 'r', 's'];

interface Racer {
  child: ChildProcess;
  ended: Promise<never>;
}

/** Four processes that have the store open. */
async function startRacers(): Promise<Racer[]> {
  const racers = racerNames.map((name) => {
    const child = fork(racer, [root, name], { execArgv: [] });
    const ended = once(child, 'exit').then(([code]) => Promise.reject(new Error(`process ${name} ended with ${code}`)));
    ended.catch(() => undefined); // looked at only while an answer is waited for
    return { child, ended };
  });
  await Promise.all(racers.map(answer));
  return racers;
}

const answer = async ({ child, ended }: Racer) => (await Promise.race([once(child, 'message'), ended]))[0];

/** Sends all the same and returns what each reports. */
async function askAll(racers: Racer[], task: string | number): Promise<unknown[]> {
  const answers = racers.map(answer);
  for (const { child } of racers) child.send(task);
  return Promise.all(answers);
}

async function endAll(racers: Racer[]): Promise<void> {
  for (const { child } of racers) child.disconnect();
  await Promise.allSettled(racers.map(({ ended }) => ended));
}

test('processes that empty a folder do not disturb those that write into it', async () => {
  const racers = await startRacers();
  expect(await askAll(racers, 1000)).toEqual([1000, 1000, 1000, 1000]);
  await endAll(racers);
  expect(await tree()).toEqual([]);
});

test('of several processes that race for a key one wins, and its metadata with it', async () => {
  const racers = await startRacers();
  for (let i = 0; i < 200; i++) {
    const won = await askAll(racers, `race/${i}`);
    expect(won.filter(Boolean), `winners of race ${i}`).toHaveLength(1);
    const writer = racerNames[won.indexOf(true)]!;
    expect(new TextDecoder().decode(await store.get(`race/${i}`))).toBe(writer);
    expect((await store.head(`race/${i}`))!.metadata).toEqual({ writer });
  }
  await endAll(racers);
  expect((await tree()).filter((name) => /(^|\/)\.(?!metadata)/.test(name))).toEqual([]);
});

test('a store whose directory is gone is STORE_UNREACHABLE, never an empty one', async () => {
  await store.put('a/b', text('1'));
  await rm(root, { recursive: true });
  const gone = { code: 'STORE_UNREACHABLE', message: expect.stringContaining(root) };
  await expect(store.put('a/b', text('1'))).rejects.toMatchObject(gone);
  await expect(store.putIfAbsent('a/b', text('1'))).rejects.toMatchObject(gone);
  await expect(store.get('a/b')).rejects.toMatchObject(gone);
  await expect(store.getRange('a/b', 0, 1)).rejects.toMatchObject(gone);
  await expect(store.head('a/b')).rejects.toMatchObject(gone);
  await expect(store.setMetadata('a/b', {})).rejects.toMatchObject(gone);
  await expect(store.list('')).rejects.toMatchObject(gone);
  await expect(store.delete('a/b')).rejects.toMatchObject(gone);
});

test('a directory that may not be written is STORE_UNREACHABLE, naming it', async () => {
  await store.put('a/b', text('1'));
  await chmod(root, 0o755);
  await chmod(join(root, 'a'), 0o555);
  const isRoot = process.geteuid!() === 0;
  if (isRoot) process.seteuid!('nobody'); // root may write anywhere
  try {
    const refused = {
      code: 'STORE_UNREACHABLE',
      retryable: false,
      message: expect.stringMatching(new RegExp(`${root}.*EACCES`)),
    };
    await expect(store.put('a/c', text('2'))).rejects.toMatchObject(refused);
    await expect(store.putIfAbsent('a/c', text('2'))).rejects.toMatchObject(refused);
    await expect(store.delete('a/b')).rejects.toMatchObject(refused);
    expect(await store.get('a/b')).toHaveLength(1);
  } finally {
    if (isRoot) process.seteuid!(0);
    await chmod(join(root, 'a'), 0o755);
  }
  expect(await keys()).toEqual(['a/b']);
});
