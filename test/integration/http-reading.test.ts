import { once } from 'node:events';
import { connect } from 'node:net';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { startHttpServer } from '../../src/producer/http/server.js';
import type { InspectionResult } from '../../src/shared/contracts.js';
import { PatchlineError } from '../../src/shared/errors.js';
import type { InspectionPage } from '../../src/shared/http-api.js';
import { inspectionFolder, resultKey } from '../../src/shared/keys.js';
import { createLogger } from '../../src/shared/logger.js';
import { publish } from '../../src/shared/queues.js';
import { eventOfResult } from '../../src/shared/results.js';
import { putJson } from '../../src/shared/store/object-store.js';
import { type HttpLine, openHttpLine } from '../helpers/http-line.js';
import { redisKinds, type TestRedis } from '../helpers/redis-kinds.js';
import { failedResult, scoredResult } from '../helpers/scored-result.js';
import { gate, until } from '../helpers/stand-in-line.js';

const [kind] = redisKinds();
let redis: TestRedis;
let line: HttpLine;
beforeAll(async () => {
  redis = await kind!.open();
});
afterAll(() => redis.stop());
beforeEach(async () => {
  line = await openHttpLine(redis.url);
});
afterEach(() => line.close());

async function json<T>(path: string): Promise<{ status: number; body: T }> {
  const response = await line.get(path);
  return { status: response.status, body: (await response.json()) as T };
}
const idOf = (day: number, index: number) =>
  `i-202601${String(day).padStart(2, '0')}-${index.toString(16).padStart(24, '0')}`;

/** Puts a result of a day of January 2026. */
async function putResult(day: number, index: number, changes: Partial<InspectionResult> = {}): Promise<string> {
  const inspectionId = idOf(day, index);
  const capturedAt = `2026-01-${String(day).padStart(2, '0')}T12:00:00.000Z`;
  await putJson(line.store, resultKey(inspectionId), { ...scoredResult, inspectionId, capturedAt, ...changes });
  return inspectionId;
}

describe('one inspection', () => {
  test('is running, then has its result', async () => {
    const { inspectionId } = (await line.post('good')).body;
    const path = `/v1/inspections/${inspectionId}`;
    expect(await json(path)).toEqual({ status: 202, body: { inspectionId, status: 'running' } });
    line.start('score', 'finalize');
    await line.post('good', '&wait=result');
    expect(await json(path)).toMatchObject({ status: 200, body: { inspectionId, status: 'done', verdict: 'good' } });
  });

  test.each(['i-20260131-000000000000000000000000', 'nope', '..%2F..%2Fredis'])('%s is not found', async (id) => {
    for (const path of [id, `${id}/image`, `${id}/artefacts/overlay.png`]) {
      expect(await json(`/v1/inspections/${path}`), path).toMatchObject({
        status: 404,
        body: { error: { code: 'INSPECTION_NOT_FOUND' } },
      });
    }
  });
});

describe('a list of inspections', () => {
  const list = async (query: string) => {
    const { status, body } = await json<InspectionPage>(`/v1/inspections?${query}`);
    expect([status, body], query).toEqual([200, expect.anything()]);
    return body;
  };
  const ids = (page: InspectionPage) => page.inspections.map(({ inspectionId }) => inspectionId);

  test('has the newest day first, page by page, each once, without vectors', async () => {
    const expected: string[] = [];
    for (const day of [30, 17, 2]) for (const index of [1, 2, 3]) expected.push(await putResult(day, index));
    await line.store.put(`${inspectionFolder(idOf(17, 2))}/overlay.png`, new Uint8Array(1));
    await line.store.put(`${inspectionFolder(idOf(20, 2))}/overlay.png`, new Uint8Array(1)); // still running
    const all = await list('');
    expect([ids(all), all.cursor]).toEqual([expected, null]);
    expect(all.inspections[0]).not.toHaveProperty('vectors');
    for (const limit of [1, 2, 3, 4, 9]) {
      const found: string[] = [];
      let cursor: string | null = '';
      while (cursor !== null) {
        const page: InspectionPage = await list(`limit=${limit}${cursor && `&cursor=${cursor}`}`);
        expect(page.inspections.length).toBeLessThanOrEqual(limit);
        found.push(...ids(page));
        cursor = page.cursor;
      }
      expect(found, `limit ${limit}`).toEqual(expected);
    }
  });

  test('by product, camera, verdict, status and time of capture', async () => {
    const first = await putResult(1, 1, { product: 'kol', verdict: 'good' });
    const second = await putResult(2, 1, { camera: 'line-2', status: 'incomplete', policy: 'all', priority: 0 });
    const third = idOf(3, 1);
    const capturedAt = '2026-01-03T12:00:00.000Z';
    await putJson(line.store, resultKey(third), { ...failedResult, inspectionId: third, capturedAt });
    const cases: [query: string, found: string[]][] = [
      ['product=kol', [first]],
      ['camera=line-2', [second]],
      ['verdict=good', [first]],
      ['verdict=anomalous', [second]],
      ['status=failed', [third]],
      ['status=incomplete', [second]],
      ['from=2026-01-02', [third, second]],
      ['to=2026-01-02', [second, first]],
      ['from=2026-01-02&to=2026-01-02', [second]],
      ['from=2026-01-02T12:00:00.001Z', [third]],
      ['to=2026-01-02T13:59:59%2B02:00', [first]],
      ['from=2026-01-04', []],
      ['to=2025-12-31', []],
      ['from=2026-01-03&to=2026-01-01', []],
    ];
    for (const [query, found] of cases) expect(ids(await list(query)), query).toEqual(found);
  });

  test.each(['limit=0', 'limit=1001', 'from=yesterday', 'cursor=nope', 'verdict=bad', 'colour=red'])(
    '%s is refused',
    async (query) => {
      expect(await json(`/v1/inspections?${query}`)).toMatchObject({
        status: 400,
        body: { error: { code: 'REQUEST_INVALID' } },
      });
    },
  );
});

describe('artefacts', () => {
  const bytes = Uint8Array.from({ length: 100 }, (_, i) => i);
  let path: string;
  beforeEach(async () => {
    const id = await putResult(1, 1);
    path = `/v1/inspections/${id}/artefacts/overlay.png`;
    await line.store.put(`${inspectionFolder(id)}/overlay.png`, bytes);
    await line.store.put(scoredResult.imageKey, bytes);
  });
  const read = async (response: Response) => [...new Uint8Array(await response.arrayBuffer())];

  test('come whole, with a strong ETag that follows the bytes', async () => {
    const response = await line.get(path);
    expect([response.status, response.headers.get('content-type')]).toEqual([200, 'image/png']);
    expect(await read(response)).toEqual([...bytes]);
    const etag = response.headers.get('etag')!;
    expect(etag).toMatch(/^"[^"]+"$/);
    for (const known of [etag, `"other", ${etag}`, `W/${etag}`, '*']) {
      const unchanged = await line.get(path, { 'if-none-match': known });
      expect([unchanged.status, unchanged.headers.get('etag'), await unchanged.text()], known).toEqual([304, etag, '']);
    }
    await line.store.put(`${inspectionFolder(idOf(1, 1))}/overlay.png`, bytes.toReversed());
    const changed = await line.get(path, { 'if-none-match': etag });
    expect([changed.status, await read(changed)]).toEqual([200, [...bytes.toReversed()]]);
  });

  test('HEAD says the same without bytes', async () => {
    const whole = await line.get(path);
    const head = await fetch(line.url + path, { method: 'HEAD', headers: { range: 'bytes=0-1' } });
    expect([head.status, await head.text()]).toEqual([200, '']);
    for (const name of ['etag', 'content-length', 'content-type', 'accept-ranges'])
      expect(head.headers.get(name), name).toBe(whole.headers.get(name));
  });

  const ranges: [range: string, status: number, part: [number, number] | null][] = [
    ['bytes=0-0', 206, [0, 1]],
    ['bytes=10-19', 206, [10, 20]],
    ['bytes=90-200', 206, [90, 100]],
    ['bytes=99-', 206, [99, 100]],
    ['bytes=-1', 206, [99, 100]],
    ['bytes=-200', 206, [0, 100]],
    ['bytes=100-', 416, null],
    ['bytes=-0', 416, null],
    ['bytes=9-3', 200, [0, 100]],
    ['bytes=0-1,5-6', 200, [0, 100]],
    ['lines=0-1', 200, [0, 100]],
    ['bytes=-', 200, [0, 100]],
  ];
  test.each(ranges)('%s', async (range, status, part) => {
    const response = await line.get(path, { range });
    expect(response.status).toBe(status);
    const size = part ? `${part[0]}-${part[1] - 1}` : '*';
    expect(response.headers.get('content-range')).toBe(status === 200 ? null : `bytes ${size}/100`);
    if (part) expect(await read(response)).toEqual([...bytes.subarray(...part)]);
  });

  test('a range of other bytes than the client has is not cut', async () => {
    const etag = (await line.get(path)).headers.get('etag')!;
    expect((await line.get(path, { range: 'bytes=0-1', 'if-range': etag })).status).toBe(206);
    expect((await line.get(path, { range: 'bytes=0-1', 'if-range': '"other"' })).status).toBe(200);
  });

  test('the original comes by its content, never as something a browser runs', async () => {
    const image = () => line.get(path.replace('artefacts/overlay.png', 'image'));
    expect((await image()).headers.get('content-type')).toBe('application/octet-stream');
    await line.store.put(scoredResult.imageKey, Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'));
    expect((await image()).headers.get('content-type')).toBe('image/png');
    await line.store.put(scoredResult.imageKey, Buffer.from('<svg xmlns="http://www.w3.org/2000/svg"/>'));
    const drawing = await image();
    expect(drawing.headers.get('content-type')).toBe('application/octet-stream');
    expect(drawing.headers.get('x-content-type-options')).toBe('nosniff');
    await line.store.delete(scoredResult.imageKey);
    expect((await image()).status).toBe(404);
  });

  test('what an inspection does not have is not found', async () => {
    for (const name of ['gradcam.npy', 'waterfall.svg', 'result.json', 'nope', '..%2Fresult.json']) {
      expect(await json(path.replace('overlay.png', name)), name).toMatchObject({
        status: 404,
        body: { error: { code: 'OBJECT_NOT_FOUND' } },
      });
    }
  });
});

/** Reads server-sent events until there are `count`, and gives their ids and data. */
async function readEvents(response: Response, count: number): Promise<{ id: string; inspectionId: string }[]> {
  const found: { id: string; inspectionId: string }[] = [];
  let text = '';
  for await (const chunk of response.body!.pipeThrough(new TextDecoderStream())) {
    text += chunk;
    const blocks = text.split('\n\n');
    text = blocks.pop()!;
    for (const block of blocks) {
      const [, id, data] = /^id: (.*)\ndata: (.*)$/m.exec(block) ?? [];
      if (id) found.push({ id, inspectionId: JSON.parse(data!).inspectionId });
    }
    if (found.length >= count) break;
  }
  return found;
}

describe('events', () => {
  const tell = (index: number, changes: Partial<InspectionResult> = {}) => {
    const result = { ...scoredResult, inspectionId: idOf(1, index), ...changes } as InspectionResult;
    return publish(line.queues, 'results', eventOfResult(result));
  };
  const open = (query = '', headers = {}) => line.get(`/v1/events?stream=results${query}`, headers);
  const ids = (events: { inspectionId: string }[]) => events.map(({ inspectionId }) => inspectionId);

  test('come as they are told, to every client, filtered', async () => {
    const all = await open();
    const kol = await open('&product=kol');
    const two = await open('&camera=line-2');
    await tell(1);
    await tell(2, { product: 'kol' });
    await tell(3, { camera: 'line-2' });
    expect(ids(await readEvents(all, 3))).toEqual([idOf(1, 1), idOf(1, 2), idOf(1, 3)]);
    expect(ids(await readEvents(kol, 1))).toEqual([idOf(1, 2)]);
    expect(ids(await readEvents(two, 1))).toEqual([idOf(1, 3)]);
  });

  test('go on after Last-Event-ID, each once, also those that come while the past is read', async () => {
    for (let i = 0; i < 1_200; i++) void tell(i);
    await tell(1_200);
    const [first] = await readEvents(await open('', { 'last-event-id': '0' }), 1);
    const resumed = await open('', { 'last-event-id': first!.id });
    void tell(1_201);
    void tell(1_202);
    const events = await readEvents(resumed, 1_202);
    expect(ids(events)).toEqual(Array.from({ length: 1_202 }, (_, i) => idOf(1, i + 1)));
  });

  test('a client that connects and hears nothing knows where to resume', async () => {
    const earlier = await open();
    await tell(1);
    await readEvents(earlier, 1);
    const reader = (await open()).body!.getReader();
    const [, id] = /^id: (.*)$/m.exec(new TextDecoder().decode((await reader.read()).value))!;
    await reader.cancel();
    await tell(2);
    expect(ids(await readEvents(await open('', { 'last-event-id': id! }), 1))).toEqual([idOf(1, 2)]);
  });

  test('a client that takes nothing is dropped', async () => {
    vi.useFakeTimers({ toFake: ['setInterval'] });
    try {
      const socket = connect(Number(new URL(line.url).port), '127.0.0.1');
      await once(socket, 'connect');
      socket.write('GET /v1/events?stream=results HTTP/1.1\r\nhost: x\r\n\r\n');
      await once(socket, 'readable'); // and is not read
      const imageKey = 'x'.repeat(100_000); // more than the system buffers
      for (let i = 0; i < 150; i++) void tell(i, { imageKey });
      await tell(150, { imageKey });
      await until(
        'all is told',
        async () => (await readEvents(await open('', { 'last-event-id': '0' }), 151)).length === 151,
      );
      for (let i = 0; i < 3; i++) await vi.advanceTimersByTimeAsync(30_000);
      let received = 0;
      socket.on('data', (chunk) => {
        received += chunk.length;
      });
      await once(socket, 'close');
      expect(received).toBeLessThan(150 * imageKey.length);
    } finally {
      vi.useRealTimers();
    }
  });

  test.each(['stream=other', 'product=No', 'x=1'])('%s is refused', async (query) => {
    expect((await line.get(`/v1/events?${query}`)).status).toBe(400);
  });

  test('a Last-Event-ID that is none is refused', async () => {
    expect((await open('', { 'last-event-id': 'nope' })).status).toBe(400);
  });
});

describe('a token', () => {
  beforeEach(async () => {
    await line.close();
    line = await openHttpLine(redis.url, { token: 'a-secret' });
  });

  test('must come with all requests but those of probes', async () => {
    for (const authorization of ['', 'Bearer', 'Bearer a-secre', 'Bearer a-secret2', 'a-secret', 'Basic a-secret']) {
      for (const path of ['/v1/inspections', '/v1/events', '/v1/images', '/openapi.json', '/nope']) {
        const response = await line.get(path, { authorization });
        expect([response.status, response.headers.get('www-authenticate')], `${path} ${authorization}`).toEqual([
          401,
          'Bearer',
        ]);
        expect(await response.json()).toMatchObject({ error: { code: 'TOKEN_INVALID' } });
      }
      expect((await line.get('/v1/health', { authorization })).status).toBe(200);
      expect((await line.get('/v1/ready', { authorization })).status).not.toBe(401);
    }
    expect((await line.get('/v1/inspections')).status).toBe(200);
    expect((await line.post('good')).status).toBe(202);
    expect((await line.post('good', '', { headers: { authorization: 'Bearer no' } })).status).toBe(401);
  });

  test.each(['0.0.0.0', '::', '192.168.1.1', 'example.org'])('is demanded at %s', async (host) => {
    const { producer } = line;
    const logger = createLogger('silent');
    await expect(startHttpServer({ producer, logger }, { port: 0, host, token: null })).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringContaining('PATCHLINE_SERVE_TOKEN'),
    });
  });

  test('a port that is taken is said', async () => {
    const { producer } = line;
    const address = { port: Number(new URL(line.url).port), host: '127.0.0.1', token: null };
    await expect(startHttpServer({ producer, logger: createLogger('silent') }, address)).rejects.toMatchObject({
      code: 'ADDRESS_UNAVAILABLE',
    });
  });
});

describe('when the server ends', () => {
  test('event streams end, who waits gets an answer, and a new request gets 503', async () => {
    const held = gate();
    line.interventions.score = () => held.passed;
    line.start('score', 'finalize');
    const events = await line.get('/v1/events');
    const waiting = line.post('good', '&wait=verdict');
    await until('the job', async () => (await line.queues.queue.score.getActiveCount()) === 1);
    const closing = line.closeServer();
    expect(await events.text()).toMatch(/^retry: /); // to its end
    const refused = await line.get('/v1/inspections');
    expect([refused.status, refused.headers.get('retry-after'), await refused.json()]).toMatchObject([
      503,
      '1',
      { error: { code: 'SERVER_ENDING' } },
    ]);
    held.open();
    expect(await waiting).toMatchObject({ status: 200, body: { verdict: 'good' } });
    await closing;
    await expect(line.get('/v1/health')).rejects.toThrow();
  });
});

describe('readiness', () => {
  test('names what is there, and what is not', async () => {
    await putJson(line.store, 'bundles/kol/v1/bundle.json', {});
    expect(await json('/v1/ready')).toEqual({
      status: 200,
      body: { ready: true, queues: 'ok', store: 'ok', products: { kol: 'v1' } },
    });
    await line.store.delete('bundles/kol/active.json');
    expect(await json('/v1/ready')).toMatchObject({ status: 503, body: { ready: false, products: {} } });
  });

  test('a store that does not answer is 503 on every route that needs it', async () => {
    line.store.get = () => {
      throw new PatchlineError('STORE_UNREACHABLE', 'away', { retryable: true });
    };
    expect(await json(`/v1/inspections/${idOf(1, 1)}`)).toMatchObject({
      status: 503,
      body: { error: { code: 'STORE_UNREACHABLE' } },
    });
  });
});

interface Operation {
  operationId: string;
  summary: string;
  parameters?: { name: string; in: string; required?: boolean }[];
  requestBody?: { content: Record<string, unknown> };
  responses: Record<string, { description: string; content?: Record<string, { schema: object }> }>;
}

test('the OpenAPI document describes each route with its parameters and answers', async () => {
  const { body } = await json<{ openapi: string; paths: Record<string, Record<string, Operation>> }>('/openapi.json');
  expect(body.openapi).toBe('3.1.0');
  const operations = Object.entries(body.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path: `${method} ${path}`, operation })),
  );
  const statuses = Object.fromEntries(
    operations.map(({ path, operation }) => [path, Object.keys(operation.responses).map(Number)]),
  );
  expect(statuses).toEqual({
    'post /v1/images': [200, 202, 400, 401, 413, 415, 422, 429, 503],
    'get /v1/inspections': [200, 400, 401, 503],
    'get /v1/inspections/{id}': [200, 202, 400, 401, 404, 503],
    'post /v1/inspections/{id}/review': [200, 400, 401, 404, 415, 503],
    'get /v1/inspections/{id}/artefacts/{name}': [200, 206, 304, 400, 401, 404, 416, 503],
    'get /v1/inspections/{id}/image': [200, 206, 304, 400, 401, 404, 416, 503],
    'get /v1/events': [200, 400, 401, 503],
    'get /v1/health': [200],
    'get /v1/ready': [200, 503],
  });
  for (const { path, operation } of operations) {
    const named = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
    const inPath = (operation.parameters ?? []).filter((each) => each.in === 'path').map(({ name }) => name);
    expect(inPath, path).toEqual(named);
    expect(operation.operationId, path).toMatch(/^[a-z]+[A-Z]/);
    for (const [status, response] of Object.entries(operation.responses)) {
      expect(response.description, `${path} ${status}`).toMatch(/\w{2}/);
      expect(response.description, `${path} ${status}`).not.toBe('Default Response');
      if (status !== '304') expect(Object.keys(response.content ?? {}), `${path} ${status}`).not.toHaveLength(0);
    }
  }
  const review = body.paths['/v1/inspections/{id}/review']!.post!;
  expect(JSON.stringify(review.requestBody)).toMatch(/application\/json.*verdict.*"good","anomalous".*defectType/);
  const post = body.paths['/v1/images']!.post!;
  expect(Object.keys(post.requestBody!.content)).toEqual([
    'image/*',
    'application/octet-stream',
    'multipart/form-data',
  ]);
  expect(post.parameters!.filter((each) => each.in === 'query').map(({ name }) => name)).toEqual(
    'camera capturedAt captureId fileName process wait timeout'.split(' '),
  );
});
