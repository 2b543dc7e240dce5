import { spawnSync } from 'node:child_process';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { PatchlineClient, type StreamedEvent } from '../../src/client.js';
import { startHttpServer } from '../../src/producer/http/server.js';
import { artefactNames } from '../../src/shared/http-api.js';
import { resultKey } from '../../src/shared/keys.js';
import { createLogger } from '../../src/shared/logger.js';
import { publish } from '../../src/shared/queues.js';
import { eventOfResult } from '../../src/shared/results.js';
import { putJson } from '../../src/shared/store/object-store.js';
import { type HttpLine, openHttpLine } from '../helpers/http-line.js';
import { redisKinds, type TestRedis } from '../helpers/redis-kinds.js';
import { scoredResult } from '../helpers/scored-result.js';
import { gate } from '../helpers/stand-in-line.js';

const [kind] = redisKinds();
let redis: TestRedis;
let line: HttpLine;
let client: PatchlineClient;
beforeAll(async () => {
  redis = await kind!.open();
});
afterAll(() => redis.stop());
beforeEach(async () => {
  line = await openHttpLine(redis.url, { token: 'a-secret' });
  client = new PatchlineClient({ url: `${line.url}/`, token: 'a-secret' });
});
afterEach(() => line.close());

const image = (text: string) => new TextEncoder().encode(text);
const idOf = (index: number) => `i-20260101-${index.toString(16).padStart(24, '0')}`;

test('sends an image and gets its verdict, its result, its artefacts and its original', async () => {
  line.start('score', 'gradcam', 'features', 'shap', 'finalize');
  const options = { camera: 'line-1', capturedAt: new Date('2026-01-31T12:00:00Z'), process: { temperature: 20.5 } };
  const judged = await client.inspect(image('anomalous'), { ...options, captureId: 'shot 1', wait: 'verdict' });
  expect(judged).toMatchObject({ verdict: 'anomalous', capturedAt: '2026-01-31T12:00:00.000Z' });
  const blob = new Blob(['something else']);
  const inspected = await client.inspect(blob, { camera: 'line-1', captureId: 'shot 1', wait: 'result' });
  expect(inspected).toMatchObject({
    inspectionId: judged.inspectionId,
    status: 'done',
    process: { temperature: 20.5 },
  });
  const { outcome: _, ...result } = inspected;
  expect(await client.result(judged.inspectionId)).toEqual(result);
  expect(await client.image(judged.inspectionId)).toEqual(image('anomalous'));
  expect(await client.artefact(judged.inspectionId, 'overlay.png')).toEqual(Uint8Array.of(2));
});

test('gets an id at once without a wait, and undefined for what is under way', async () => {
  const { inspectionId, outcome } = await client.inspect(image('good').buffer, { camera: 'line-1' });
  expect(outcome).toBe('enqueued');
  expect(await client.result(inspectionId)).toBeUndefined();
  const waiting = client.inspect(image('good'), { camera: 'line-1', wait: 'verdict', timeoutSeconds: 0.01 });
  await expect(waiting).rejects.toMatchObject({ code: 'WAIT_TIMED_OUT', inspectionId, status: 202 });
});

test('lists inspections page by page', async () => {
  for (let i = 0; i < 5; i++) await putJson(line.store, resultKey(idOf(i)), { ...scoredResult, inspectionId: idOf(i) });
  const found: string[] = [];
  for await (const { inspectionId } of client.inspections({ pageSize: 2, verdict: 'anomalous' }))
    found.push(inspectionId);
  expect(found).toEqual([0, 1, 2, 3, 4].map(idOf));
});

test('throws what the server says', async () => {
  const refused = (code: string, status: number) =>
    expect.objectContaining({ name: 'PatchlineClientError', code, status });
  await expect(client.result('nope')).rejects.toEqual(refused('INSPECTION_NOT_FOUND', 404));
  await expect(client.inspect(image(''), { camera: 'line-1' })).rejects.toEqual(refused('IMAGE_UNREADABLE', 400));
  await expect(client.artefact(idOf(1), artefactNames[0])).rejects.toEqual(refused('INSPECTION_NOT_FOUND', 404));
  const stranger = new PatchlineClient({ url: line.url, token: 'no' });
  await expect(stranger.result(idOf(1))).rejects.toEqual(refused('TOKEN_INVALID', 401));
  await expect(stranger.events().next()).rejects.toEqual(refused('TOKEN_INVALID', 401));
});

describe('what may pass', () => {
  /** A client whose first answers are given, with the times at which it asked. */
  function withAnswers(answers: (() => Response)[], retries?: number) {
    const askedAt: number[] = [];
    const fetch: typeof globalThis.fetch = async () => {
      askedAt.push(performance.now());
      return (answers.shift() ?? (() => Response.json(scoredResult)))();
    };
    const { result } = PatchlineClient.prototype;
    const asking = new PatchlineClient({ url: 'http://patchline', fetch, ...(retries !== undefined && { retries }) });
    return { askedAt, result: () => result.call(asking, scoredResult.inspectionId) };
  }
  const full = (retryAfter: string) => () =>
    Response.json(
      { error: { code: 'BACKLOG_FULL', message: '' } },
      { status: 429, headers: { 'Retry-After': retryAfter } },
    );
  const broken = () => {
    throw new TypeError('fetch failed');
  };

  test('is tried again, after the time that the server asks for', async () => {
    const { askedAt, result } = withAnswers([full('0.3'), full('0')]);
    expect(await result()).toEqual(scoredResult);
    expect(askedAt).toHaveLength(3);
    expect(askedAt[1]! - askedAt[0]!).toBeGreaterThan(295);
  });

  test('is given up after some times', async () => {
    const { askedAt, result } = withAnswers([full('0'), full('0'), full('0')], 2);
    await expect(result()).rejects.toMatchObject({ code: 'BACKLOG_FULL', status: 429 });
    expect(askedAt).toHaveLength(3);
    await expect(withAnswers([broken], 0).result()).rejects.toMatchObject({
      code: 'CONNECTION_FAILED',
      status: undefined,
    });
    expect(await withAnswers([broken], 1).result()).toEqual(scoredResult);
  });

  test('is not what the request is wrong about', async () => {
    const { askedAt, result } = withAnswers([() => new Response('<html>', { status: 400 })]);
    await expect(result()).rejects.toMatchObject({ code: 'REQUEST_FAILED', status: 400 });
    expect(askedAt).toHaveLength(1);
  });
});

test('events go on where they were when the server comes back, and end with their signal', async () => {
  const tell = (index: number) =>
    publish(line.queues, 'results', eventOfResult({ ...scoredResult, inspectionId: idOf(index) }));
  const ending = new AbortController();
  const connected = gate();
  const fetch: typeof globalThis.fetch = async (...request) => {
    const response = await globalThis.fetch(...request);
    connected.open();
    return response;
  };
  const listener = new PatchlineClient({ url: line.url, token: 'a-secret', fetch });
  const events = listener.events({ stream: 'results', product: 'plate', signal: ending.signal });
  const idOfNext = async () => ((await events.next()).value as StreamedEvent).event.inspectionId;
  const first = idOfNext();
  await connected.passed;
  await tell(1);
  expect(await first).toBe(idOf(1));
  await line.closeServer();
  await tell(2);
  const second = idOfNext();
  const { producer } = line;
  const address = { port: Number(new URL(line.url).port), host: '127.0.0.1', token: 'a-secret' };
  const server = await startHttpServer({ producer, logger: createLogger('silent') }, address);
  expect(await second).toBe(idOf(2));
  const third = idOfNext();
  ending.abort(new Error('enough'));
  await expect(third).rejects.toThrow('enough');
  await server.close();
});

describe('the package', () => {
  const node = (code: string) => spawnSync(process.execPath, ['--input-type=module', '-e', code], { encoding: 'utf8' });

  test('exports the client, loads nothing else with it, and its package.json', () => {
    const { stdout, stderr } = node(`
      import * as patchline from 'patchline';
      import { createRequire } from 'node:module';
      const { version } = createRequire(import.meta.url)('patchline/package.json');
      console.log(Object.keys(patchline).join(), typeof version);
      await import('patchline/dist/shared/config.js').catch((error) => console.log(error.code));
    `);
    expect(stderr).toBe('');
    expect(stdout).toBe('PatchlineClient,PatchlineClientError string\nERR_PACKAGE_PATH_NOT_EXPORTED\n');
  });

  test('has types that a strict program for browsers or Node compiles against', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'patchline-consumer-'));
    await mkdir(join(directory, 'node_modules'));
    await symlink(resolve('.'), join(directory, 'node_modules/patchline'));
    await writeFile(join(directory, 'package.json'), '{"type": "module"}');
    await writeFile(
      join(directory, 'line.ts'),
      `import { type InspectionResult, PatchlineClient, PatchlineClientError } from 'patchline';
      const client = new PatchlineClient({ url: 'http://127.0.0.1:8080', token: 'secret' });
      const { verdict, severity } = await client.inspect(new Uint8Array(3), { camera: 'line-1', wait: 'verdict' });
      const shown: 'good' | 'anomalous' | null = verdict;
      const number: number | null = severity;
      const accepted = await client.inspect(new Blob([]), { camera: 'line-1' });
      const outcome: 'enqueued' | 'finished' | 'busy' = accepted.outcome;
      const result: InspectionResult | undefined = await client.result(accepted.inspectionId);
      if (result?.status !== 'failed') result?.location.box;
      for await (const listed of client.inspections({ verdict: 'anomalous' })) listed.capturedAt;
      for await (const { id, event } of client.events()) console.log(id, event.verdict);
      const picture: Uint8Array = await client.artefact(accepted.inspectionId, 'overlay.png');
      // @ts-expect-error there is no such artefact
      await client.artefact(accepted.inspectionId, 'other.png');
      // @ts-expect-error the event of a verdict has no vectors
      (await client.inspect(picture, { camera: 'line-1', wait: 'verdict' })).vectors;
      export { outcome, PatchlineClientError, number, shown };`,
    );
    const options = '--strict --noEmit --module nodenext --target es2022 --lib es2023,dom,dom.asynciterable --types';
    const tsc = resolve('node_modules/typescript/bin/tsc');
    const { stdout, status } = spawnSync(process.execPath, [tsc, ...options.split(' '), '', 'line.ts'], {
      cwd: directory,
      encoding: 'utf8',
    });
    await rm(directory, { recursive: true });
    expect([stdout, status]).toEqual(['', 0]);
  });
});
