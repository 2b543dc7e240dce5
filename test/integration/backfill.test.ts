import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type Cursor, unfinishedCursors } from '../../src/producer/cursor.js';
import { stageNames } from '../../src/shared/contracts.js';
import { type CommandProcess, runCommand, startCommand } from '../helpers/command-line.js';
import { redisKinds, type TestRedis } from '../helpers/redis-kinds.js';
import { gate, openStandInLine, type StandInLine, until } from '../helpers/stand-in-line.js';

const images = 60;

describe('patchline ingest --backfill', () => {
  let redis: TestRedis;
  let line: StandInLine;
  let root: string;
  let folder: string;
  let env: Record<string, string>;
  /** How often each image was scored, by file name. */
  let runs: Map<string, number>;
  /** Holds the images whose name it is given; all others go on. */
  let hold: (name: string) => Promise<void> | undefined;
  beforeAll(async () => {
    redis = await redisKinds()[0]!.open();
  });
  afterAll(() => redis.stop());
  beforeEach(async () => {
    line = await openStandInLine(redis.url);
    root = await mkdtemp(join(tmpdir(), 'patchline-backfill-'));
    folder = join(root, 'images');
    await mkdir(join(folder, '2025'), { recursive: true });
    for (let i = 0; i < images; i++) {
      const name = `${String(i).padStart(3, '0')}.jpg`;
      await writeFile(join(folder, i < 30 ? '2025' : '.', name), `${i % 10 === 0 ? 'anomalous' : 'good'} ${name}`);
    }
    const { prefix } = line.queues.config;
    env = {
      REDIS_URL: redis.url,
      PATCHLINE_STORE: line.store.url,
      PATCHLINE_QUEUE_PREFIX: prefix,
      PATCHLINE_LIMITS_BACKFILL_WINDOW: '16',
      PATCHLINE_CONFIG: join(root, 'patchline.yaml'),
    };
    await writeFile(env.PATCHLINE_CONFIG!, 'cameras: {line-1: {product: kol}}\n');
    runs = new Map();
    hold = () => undefined;
    line.interventions.score = async ({ imageKey }) => {
      const name = imageKey.slice(-7);
      runs.set(name, (runs.get(name) ?? 0) + 1);
      await hold(name);
    };
    line.start(...stageNames);
  });
  afterEach(async () => {
    await line.close();
    await rm(root, { recursive: true, force: true });
  });

  const args = () => ['ingest', folder, '--camera', 'line-1', '--backfill', '--out', join(root, 'report'), '--json'];
  async function cursor(): Promise<Cursor | undefined> {
    for await (const found of unfinishedCursors(line.store)) return found.cursor;
    return undefined;
  }

  test('killed amid its work goes on from its cursor when it is run again, and inspects nothing twice', async () => {
    const held = gate();
    hold = (name) => (name === '040.jpg' || name === '020.jpg' ? held.passed : undefined);
    const killed: CommandProcess = startCommand(args(), env);
    await until('the window to be full behind a held image', async () => {
      const now = await cursor();
      return now !== undefined && now.tally.images >= 10 && runs.size >= now.tally.images + 14;
    });
    killed.child.kill('SIGKILL');
    await killed.ended;
    const left = (await cursor())!;
    expect(left.after).toBe('039.jpg');
    const status = await runCommand(['status'], env);
    expect(status.stdout).toContain(`unfinished backfill: ${folder} of camera line-1, 10 images up to 039.jpg`);

    held.open();
    const { code, stdout, stderr } = await runCommand(args(), env);
    expect(code, stderr).toBe(0);
    expect(stderr).toContain('going on behind 039.jpg: 10 images are done');
    expect([...runs.values()]).toEqual(Array(images).fill(1));
    const report = JSON.parse(stdout);
    expect(report).toMatchObject({ images, done: images, good: 54, anomalous: 6, failed: 0, finished: 0, resumed: 1 });
    expect(JSON.parse(await readFile(join(root, 'report/report.json'), 'utf8'))).toEqual({
      ...report,
      page: undefined,
    });
    const page = await readFile(report.page, 'utf8');
    expect(page).toContain('resumed once');
    expect(page).toContain('<th>60</th>');
    expect(await cursor()).toBeUndefined();
  });

  test('asked to end writes its cursor and ends', async () => {
    const held = gate();
    hold = (name) => (name === '035.jpg' ? held.passed : undefined);
    const asked = startCommand(args(), env);
    await until('five results', async () => (await cursor())?.after === '034.jpg');
    asked.child.kill('SIGTERM');
    expect(await asked.ended).toBe(1);
    expect(asked.stderr()).toContain('broken off: the same command goes on from there');
    expect((await cursor())?.after).toBe('034.jpg');
    held.open();
    expect((await runCommand(args(), env)).code).toBe(0);
    expect([...runs.values()]).toEqual(Array(images).fill(1));
  });
});
