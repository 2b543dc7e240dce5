import { appendFile, mkdir, mkdtemp, readdir, readFile, rename, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Producer } from '../../src/producer/enqueue.js';
import { type Taken, type WatchOptions, watchFolder } from '../../src/producer/watch-folder.js';
import { PatchlineError } from '../../src/shared/errors.js';
import { createLogger } from '../../src/shared/logger.js';
import { readResult } from '../../src/shared/results.js';
import { listAll } from '../../src/shared/store/object-store.js';
import { redisKinds, type TestRedis } from '../helpers/redis-kinds.js';
import { openStandInLine, type StandInLine, until } from '../helpers/stand-in-line.js';

const logger = createLogger('silent');

describe('a watched folder', () => {
  let redis: TestRedis;
  let line: StandInLine;
  let folder: string;
  let taken: Taken[];
  let closers: (() => Promise<void>)[];
  beforeAll(async () => {
    redis = await redisKinds()[0]!.open();
  });
  afterAll(() => redis.stop());
  beforeEach(async () => {
    line = await openStandInLine(redis.url);
    folder = await mkdtemp(join(tmpdir(), 'patchline-watched-'));
    taken = [];
    closers = [];
  });
  afterEach(async () => {
    for (const close of closers) await close();
    await line.close();
    await rm(folder, { recursive: true, force: true });
  });

  async function start(options: Partial<WatchOptions> = {}, producer: Producer = line.producer) {
    const watched = await watchFolder(producer, {
      ...{ directory: folder, camera: 'line-1', after: 'move', stableMs: 200, polling: false, sidecar: false, logger },
      onFile: (file) => taken.push(file),
      ...options,
    });
    closers.push(() => watched.close());
    return watched;
  }
  const files = async () =>
    (await readdir(folder, { recursive: true, withFileTypes: true }))
      .filter((entry) => entry.isFile())
      .map(({ parentPath, name }) => join(parentPath, name).slice(folder.length + 1))
      .sort();
  async function originals(): Promise<string[]> {
    const texts: string[] = [];
    for await (const { key } of listAll(line.store, 'images/'))
      texts.push(String(Buffer.from(await line.store.get(key))));
    return texts.sort();
  }
  const jobs = () => line.queues.queue.score.count();
  const refusals = () => taken.flatMap(({ error }) => error?.code ?? []);

  test.each([false, true])('takes whole files only, and moves them (polling: %s)', async (polling) => {
    await writeFile(join(folder, 'early.jpg'), 'good early');
    await mkdir(join(folder, 'shift-1'));
    await start({ polling, stableMs: 1_000 });
    await writeFile(join(folder, 'slow.jpg'), 'good');
    const writing = setInterval(() => void appendFile(join(folder, 'slow.jpg'), '.'), 300);
    await writeFile(join(folder, 'shift-1/renamed.jpg.part'), 'good renamed');
    await writeFile(join(folder, '.hidden.jpg'), 'good hidden');
    await until('the whole file', async () => (await files()).includes('done/early.jpg'));
    await rename(join(folder, 'shift-1/renamed.jpg.part'), join(folder, 'shift-1/renamed.jpg'));
    await until('the renamed file', async () => (await files()).includes('done/shift-1/renamed.jpg'));
    expect(await files()).toContain('slow.jpg');
    clearInterval(writing);
    await until('the slow file', async () => (await files()).includes('done/slow.jpg'));
    const slow = await readFile(join(folder, 'done/slow.jpg'), 'utf8');
    expect(slow).toMatch(/^good\.{4,}$/);
    expect(await originals()).toEqual(['good early', 'good renamed', slow]);
    expect(await jobs()).toBe(3);
    expect(await files()).toEqual(['.hidden.jpg', 'done/early.jpg', 'done/shift-1/renamed.jpg', 'done/slow.jpg']);
  });

  test('refuses what cannot be taken: it is moved to rejected, with the reason', async () => {
    const config = { ...line.producer.config, limits: { ...line.producer.config.limits, maxImageBytes: 1_000 } };
    await writeFile(join(folder, 'big.jpg'), new Uint8Array(1_001));
    await writeFile(join(folder, 'future.jpg'), 'good future');
    await utimes(join(folder, 'future.jpg'), new Date(), new Date('2131-01-01'));
    await writeFile(join(folder, 'hot.jpg'), 'good hot');
    await writeFile(join(folder, 'hot.jpg.json'), '{"process": {"temperature": "hot"}}');
    await writeFile(join(folder, 'empty.jpg'), '');
    await start({}, { ...line.producer, config });
    await until('all four', () => taken.length === 4);
    expect(refusals().sort()).toEqual([
      ...['CAPTURE_TIME_INVALID', 'IMAGE_TOO_LARGE', 'IMAGE_UNREADABLE', 'PROCESS_DATA_INVALID'],
    ]);
    await until('them to be moved', async () => (await files()).length === 9);
    expect((await files()).every((file) => file.startsWith('rejected/'))).toBe(true);
    expect(await readFile(join(folder, 'rejected/big.jpg.error.txt'), 'utf8')).toMatch(
      /^IMAGE_TOO_LARGE: Expected at most 1000 bytes/,
    );
    expect(await files()).toContain('rejected/hot.jpg.json');
    expect(await originals()).toEqual([]);
    expect(await jobs()).toBe(0);
  });

  test('waits for a sidecar that is to come, and takes its numbers along', async () => {
    await start({ sidecar: true });
    await writeFile(join(folder, 'a.jpg'), 'good a');
    await writeFile(join(folder, 'b.jpg'), 'good b');
    await writeFile(join(folder, 'b.jpg.json'), '{"process": {"pressure": 1.2}}');
    await until('the one that has it', async () => (await files()).includes('done/b.jpg.json'));
    expect(await files()).toContain('a.jpg');
    await writeFile(join(folder, 'a.jpg.json'), '{"process": {"pressure": 3.4}}');
    await until('the other', async () => (await files()).includes('done/a.jpg.json'));
    line.start('score', 'finalize');
    await until('both results', () => line.idle());
    const results = await Promise.all(taken.map(({ inspectionId }) => readResult(line.store, inspectionId!)));
    expect(results.map((result) => result?.process?.pressure)).toEqual([1.2, 3.4]);
  });

  test('keeps files of one name apart', async () => {
    await start();
    for (const [i, name] of ['done/a.jpg', 'done/a-2.jpg'].entries()) {
      await writeFile(join(folder, 'a.jpg'), `good ${i}`);
      await until(name, async () => (await files()).includes(name));
      expect(await readFile(join(folder, name), 'utf8')).toBe(`good ${i}`);
    }
    expect(await originals()).toEqual(['good 0', 'good 1']);
  });

  test('that is left as it is is not taken twice, be it after a restart with another bundle version', async () => {
    const first = await start({ after: 'leave' });
    await writeFile(join(folder, 'a.jpg'), 'good a');
    await until('it to be taken', () => taken.length === 1);
    line.start('score', 'finalize');
    await until('its result', async () => (await line.events('results')).length === 1);
    await first.close();
    const store = line.store;
    await store.put('bundles/kol/v1/bundle.json', new Uint8Array(1));
    await store.put('bundles/kol/active.json', Buffer.from('{"version": "v2"}'));
    await until('v2 to be known', async () => (await line.producer.activeVersionOf('kol')) === 'v2');
    await start({ after: 'leave' });
    await until('it to be looked at again', () => taken.length === 2);
    await writeFile(join(folder, 'a.jpg'), 'good a, but another');
    await until('what is new', () => taken.length === 3);
    await until('its result', async () => (await line.events('results')).length === 2);
    expect(await files()).toEqual(['a.jpg']);
    expect(taken[1]!.inspectionId).toBe(taken[0]!.inspectionId);
    const scored = await line.queues.queue.score.getCompletedCount();
    expect(scored).toBe(2);
  });

  test('waits while the store is away or the backlog is full, and loses no file', async () => {
    let away = true;
    let asked = 0;
    const store: Producer['store'] = {
      ...line.store,
      putIfAbsent(...args) {
        asked++;
        if (away) throw new PatchlineError('STORE_UNREACHABLE', 'away', { retryable: true });
        return line.store.putIfAbsent(...args);
      },
    };
    const config = { ...line.producer.config, limits: { ...line.producer.config.limits, maxBacklog: 1 } };
    await start({}, { ...line.producer, store, config });
    await writeFile(join(folder, 'a.jpg'), 'good a');
    await until('two attempts', () => asked >= 2);
    expect(await files()).toEqual(['a.jpg']);
    away = false;
    await until('the store', async () => (await files()).includes('done/a.jpg'));
    expect(await jobs()).toBe(1);
    let looked = 0;
    const { getJobCounts } = line.queues.queue.score;
    line.queues.queue.score.getJobCounts = function (...states) {
      looked++;
      return getJobCounts.apply(this, states);
    };
    await writeFile(join(folder, 'b.jpg'), 'good b');
    await until('three looks at the full backlog', () => looked >= 3);
    expect(await files()).toEqual(['b.jpg', 'done/a.jpg']);
    line.start('score', 'finalize');
    await until('room', async () => (await files()).includes('done/b.jpg'));
    expect(await originals()).toEqual(['good a', 'good b']);
  });

  test('has to be there', async () => {
    await expect(start({ directory: join(folder, 'nowhere') })).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
  });
});
