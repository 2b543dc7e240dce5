import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { loadConfig } from '../../src/shared/config.js';

const start = process.cwd();
let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'patchline-config-'));
  process.chdir(directory);
});
afterEach(async () => {
  process.chdir(start);
  await rm(directory, { recursive: true });
});

async function file(text: string, name = 'given.yaml'): Promise<string> {
  const path = join(directory, name);
  await writeFile(path, text);
  return path;
}

/** The lines of the CONFIG_INVALID that loading ends with. */
async function faults(text: string, environment: Record<string, string> = {}): Promise<string[]> {
  const error = await loadConfig(await file(text), environment).catch((error) => error);
  expect(error).toMatchObject({ code: 'CONFIG_INVALID' });
  return error.message.split('\n');
}

test('without a file and variables everything has its default', async () => {
  expect(await loadConfig(undefined, {})).toEqual({
    cameras: {},
    products: {},
    watch: [],
    poll: [],
    explain: 'flagged',
    pictures: 'overlay',
    threads: availableParallelism(),
    maxLoadedBundles: 4,
    logLevel: 'warn',
    limits: { maxBacklog: 10_000, backfillWindow: 2_000, maxImageBytes: 50_000_000 },
    retention: { work: 7, results: null, images: null },
    serve: { port: null, host: '127.0.0.1', token: null },
    history: { enabled: true, similar: 5, catchUpDays: 3 },
    queue: {
      prefix: 'patchline',
      lockDurationMs: 30_000,
      stalledIntervalMs: 15_000,
      backoffMs: 1_000,
      keepCompleted: 10_000,
    },
    sinks: [],
  });
  expect(await loadConfig(await file(''), {})).toEqual(await loadConfig(undefined, {}));
});

describe('where it comes from', () => {
  test('the path given, else PATCHLINE_CONFIG, else ./patchline.yaml', async () => {
    await file('threads: 1', 'patchline.yaml');
    const named = await file('threads: 2', 'named.yaml');
    const given = await file('threads: 3');
    expect(await loadConfig(undefined, {})).toMatchObject({ threads: 1 });
    expect(await loadConfig(undefined, { PATCHLINE_CONFIG: named })).toMatchObject({ threads: 2 });
    expect(await loadConfig(given, { PATCHLINE_CONFIG: named })).toMatchObject({ threads: 3 });
  });

  test('variables win over the file, setting by setting', async () => {
    const path = await file(
      '{threads: 1, limits: {maxBacklog: 5, maxImageBytes: 1MB}, cameras: {line-1: {product: kol}}}',
    );
    const environment = {
      PATCHLINE_EXPLAIN: 'all',
      PATCHLINE_PICTURES: 'all',
      PATCHLINE_THREADS: '7',
      PATCHLINE_MAX_LOADED_BUNDLES: '2',
      PATCHLINE_LOG_LEVEL: 'debug',
      PATCHLINE_LIMITS_MAX_BACKLOG: '9',
      PATCHLINE_LIMITS_BACKFILL_WINDOW: '8',
      PATCHLINE_RETENTION_WORK: '2d',
      PATCHLINE_RETENTION_RESULTS: '2y',
      PATCHLINE_RETENTION_IMAGES: '8w',
      PATCHLINE_SERVE_PORT: '8081',
      PATCHLINE_SERVE_HOST: '0.0.0.0',
      PATCHLINE_SERVE_TOKEN: 'a-secret',
      PATCHLINE_HISTORY_ENABLED: 'false',
      PATCHLINE_HISTORY_SIMILAR: '9',
      PATCHLINE_HISTORY_CATCH_UP_DAYS: '30',
      PATCHLINE_QUEUE_PREFIX: 'other',
      PATCHLINE_QUEUE_LOCK_DURATION_MS: '2000',
      PATCHLINE_QUEUE_STALLED_INTERVAL_MS: '500',
      PATCHLINE_QUEUE_BACKOFF_MS: '100',
      PATCHLINE_QUEUE_KEEP_COMPLETED: '50',
      PATCHLINE_STORE: 'not a setting of the configuration',
      REDIS_URL: 'nor this',
    };
    expect(await loadConfig(path, environment)).toEqual({
      cameras: { 'line-1': { product: 'kol' } },
      products: {},
      sinks: [],
      watch: [],
      poll: [],
      explain: 'all',
      pictures: 'all',
      threads: 7,
      maxLoadedBundles: 2,
      logLevel: 'debug',
      limits: { maxBacklog: 9, backfillWindow: 8, maxImageBytes: 1_000_000 },
      retention: { work: 2, results: 730, images: 56 },
      serve: { port: 8_081, host: '0.0.0.0', token: 'a-secret' },
      history: { enabled: false, similar: 9, catchUpDays: 30 },
      queue: { prefix: 'other', lockDurationMs: 2_000, stalledIntervalMs: 500, backoffMs: 100, keepCompleted: 50 },
    });
    const maxImageBytes = (await loadConfig(path, { PATCHLINE_LIMITS_MAX_IMAGE_BYTES: '2KB' })).limits.maxImageBytes;
    expect(maxImageBytes).toBe(2_000);
  });

  test('a file that was named must be there and hold settings by name', async () => {
    const cases = {
      'gone.yaml': null,
      'list.yaml': '[1, 2]',
      'text.yaml': 'threads',
      'broken.yaml': 'threads: [1',
      'twice.yaml': 'threads: 1\nthreads: 2',
    };
    for (const [name, text] of Object.entries(cases)) {
      const path = join(directory, name);
      if (text !== null) await writeFile(path, text);
      const refused = { code: 'CONFIG_INVALID', message: expect.stringContaining(name) };
      await expect(loadConfig(path, {}), name).rejects.toMatchObject(refused);
      await expect(loadConfig(undefined, { PATCHLINE_CONFIG: path }), name).rejects.toMatchObject(refused);
    }
    await mkdir(join(directory, 'patchline.yaml'));
    await expect(loadConfig(undefined, {})).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
  });
});

describe('faults', () => {
  test('are reported all at once', async () => {
    const text =
      '{threads: 0, explain: some, colour: red, cameras: {Line: {product: kol}, line-2: {}}, limits: {maxImageBytes: big, depth: 3}}';
    const lines = await faults(text, { PATCHLINE_LOG_LEVEL: 'loud', PATCHLINE_THREDS: '2', PATCHLINE_CAMERAS: '{}' });
    for (const part of [
      'threads: ',
      'explain: ',
      'cameras.Line: ',
      'cameras.line-2.product: ',
      'logLevel: ',
      'limits.maxImageBytes: Expected a size such as 50MB but received "big"',
      'PATCHLINE_THREDS: no setting',
      'PATCHLINE_CAMERAS: no setting',
    ]) {
      expect(
        lines.filter((line) => line.startsWith(part)),
        part,
      ).toHaveLength(1);
    }
    expect(lines).toContainEqual(expect.stringMatching(/^limits: .*"depth"/));
    expect(lines).toContainEqual(expect.stringMatching(/^configuration: .*"colour"/));
    expect(lines).toHaveLength(10);
  });

  test('of the file are not hidden by a variable', async () => {
    expect(await faults('limits: 5', { PATCHLINE_LIMITS_MAX_BACKLOG: '9' })).toEqual([
      expect.stringMatching(/^limits: /),
    ]);
  });

  test.each(['0', '-1', '1.5', 'two', '', '1e3', ' 1'])('PATCHLINE_THREADS of "%s"', async (text) => {
    expect(await faults('', { PATCHLINE_THREADS: text })).toEqual([expect.stringMatching(/^threads: /)]);
  });
});

test.each([
  ['50MB', 50_000_000],
  ['1.5 KB', 1_500],
  ['2gb', 2_000_000_000],
  ['10', 10],
  ['10B', 10],
  [4096, 4_096],
])('a size of %s is %d bytes', async (size, bytes) => {
  const { limits } = await loadConfig(await file(`limits: {maxImageBytes: ${size}}`), {});
  expect(limits.maxImageBytes).toBe(bytes);
});

test.each(['50XB', '-1', '0', '0.5', 'MB', '5 0MB', '50MiB', '.nan', '.inf', 'true', 'null', '[1]', '"1e400"'])(
  '%s is no size',
  async (size) => {
    expect(await faults(`limits: {maxImageBytes: ${size}}`)).toEqual([
      expect.stringMatching(/^limits\.maxImageBytes: /),
    ]);
  },
);

test('a token with characters that no header carries is refused without being shown', async () => {
  const lines = await faults('', { PATCHLINE_SERVE_TOKEN: 'se cret', PATCHLINE_SERVE_PORT: '65536' });
  expect(lines).toEqual([expect.stringMatching(/^serve\.port: /), expect.stringMatching(/^serve\.token: /)]);
  expect(lines.join()).not.toContain('cret');
});

test('what is returned cannot be changed', async () => {
  const config = await loadConfig(await file('cameras: {line-1: {product: kol}}'), {});
  const changes = [
    () => Object.assign(config, { threads: 1 }),
    () => Object.assign(config.limits, { maxBacklog: 1 }),
    () => Object.assign(config.cameras, { 'line-2': { product: 'kol' } }),
    () => Object.assign(config.cameras['line-1']!, { product: 'other' }),
  ];
  for (const change of changes) expect(change).toThrow(TypeError);
});

test('folders and prefixes that are looked after while up runs', async () => {
  const path = await file(
    'watch: [{dir: incoming, camera: line-1, after: leave}]\npoll: [{source: s3://parts/in/, camera: line-2, everySeconds: 5}]',
  );
  expect(await loadConfig(path, {})).toMatchObject({
    watch: [
      {
        ...{ dir: join(dirname(path), 'incoming'), camera: 'line-1', after: 'leave' },
        ...{ stableMs: 2_000, polling: false, sidecar: false },
      },
    ],
    poll: [{ source: 's3://parts/in/', camera: 'line-2', everySeconds: 5, sweepMinutes: 60 }],
  });
  const wrong =
    'watch: [{dir: in, camera: Line, after: delete}]\npoll: [{source: ./in, camera: line-1, everySeconds: 0}]';
  expect(await faults(wrong)).toEqual([
    expect.stringMatching(/^watch\.0\.camera: Expected a name/),
    expect.stringMatching(/^watch\.0\.after: /),
    expect.stringMatching(/^poll\.0\.source: Expected an address of the form s3:/),
    expect.stringMatching(/^poll\.0\.everySeconds: /),
  ]);
});
