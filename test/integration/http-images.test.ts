import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect } from 'node:net';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { storeCapture } from '../../src/producer/captures.js';
import { activeBundleKey } from '../../src/shared/keys.js';
import { countBacklog, publish } from '../../src/shared/queues.js';
import { eventOf } from '../../src/shared/results.js';
import { listAll, putJson } from '../../src/shared/store/object-store.js';
import { type HttpLine, openHttpLine } from '../helpers/http-line.js';
import { scene } from '../helpers/images.js';
import { redisKinds, type TestRedis } from '../helpers/redis-kinds.js';
import { gate, until } from '../helpers/stand-in-line.js';

const [kind] = redisKinds();
let redis: TestRedis;
let line: HttpLine;
beforeAll(async () => {
  redis = await kind!.open();
});
afterAll(() => redis.stop());
beforeEach(async () => {
  line = await openHttpLine(redis.url, { limits: { maxImageBytes: 1_000_000 } });
});
afterEach(() => line.close());

async function keys(prefix: string): Promise<string[]> {
  const found: string[] = [];
  for await (const { key } of listAll(line.store, prefix)) found.push(key);
  return found;
}
const inMinutes = (minutes: number) => new Date(Date.now() + minutes * 60_000).toISOString();

describe('an image is taken in', () => {
  test('as a raw body, with parameters in the query or in headers, and as a form: the same inspection', async () => {
    const capturedAt = '2026-01-31T12:00:00+02:00';
    const raw = await line.post('good', `&capturedAt=${encodeURIComponent(capturedAt)}`);
    expect(raw).toEqual({
      status: 202,
      body: {
        inspectionId: expect.stringMatching(/^i-20260131-[0-9a-f]{24}$/),
        imageKey: expect.stringMatching(/^images\/line-1\/2026-01-31\/[0-9a-f]{16}-image$/),
        outcome: 'enqueued',
      },
    });
    const headers = {
      'content-type': 'application/octet-stream',
      'patchline-camera': 'line-1',
      'patchline-captured-at': capturedAt,
    };
    const byHeaders = await fetch(`${line.url}/v1/images`, { method: 'POST', body: 'good', headers });
    expect(await byHeaders.json()).toEqual(raw.body);
    expect(byHeaders.headers.get('location')).toBe(`/v1/inspections/${raw.body.inspectionId}`);

    const form = new FormData();
    form.set('image', new Blob(['good']), 'part-7.jpg');
    form.set('camera', 'line-1');
    form.set('capturedAt', capturedAt);
    const byForm = await fetch(`${line.url}/v1/images?camera=line-2`, { method: 'POST', body: form });
    expect([byForm.status, await byForm.json()]).toEqual([202, raw.body]);
  });

  test('with its time and process data, which its result repeats', async () => {
    line.start('score', 'finalize');
    const query = '&capturedAt=2026-01-31T12:00:00%2B02:00&process={"temperature":20.5}&wait=result';
    const { body } = await line.post('good', query);
    expect(body).toMatchObject({ capturedAt: '2026-01-31T10:00:00.000Z', process: { temperature: 20.5 } });
  });

  test('with the time in its EXIF data, unless one is given; not one of more than a day ahead', async () => {
    const taken = async (date: string) =>
      await scene()
        .jpeg()
        .withExif({ IFD2: { DateTimeOriginal: date } })
        .toBuffer();
    const image = await taken('2026:01:31 12:00:00');
    expect((await line.post(image)).body.inspectionId).toMatch(/^i-20260131-/);
    expect((await line.post(image, '&capturedAt=2026-02-01T00:00:00Z')).body.inspectionId).toMatch(/^i-20260201-/);
    const tomorrow = new Date(Date.now() + 20 * 3_600_000).toISOString();
    const local = tomorrow.slice(0, 19).replaceAll('-', ':').replace('T', ' ');
    expect((await line.post(await taken(local))).status).toBe(202);
    expect(await line.post(await taken('2099:01:31 12:00:00'))).toMatchObject({
      status: 400,
      body: { error: { code: 'CAPTURE_TIME_INVALID' } },
    });
  });

  test('with process data in a header, in UTF-8', async () => {
    line.start('score', 'finalize');
    const header = Buffer.from('{"Düse": 3}').toString('latin1');
    const { body } = await line.post('good', '&wait=result', { headers: { 'patchline-process': header } });
    expect(body).toMatchObject({ process: { Düse: 3 } });
  });

  test('with a name of its own, which is a part of its key', async () => {
    const { body } = await line.post('good', '&fileName=part%207.jpg');
    expect(body.imageKey).toMatch(/-part_7\.jpg$/);
  });

  test('once, however often it is sent, and is answered 200 when it has its result', async () => {
    const posts = await Promise.all(Array.from({ length: 8 }, () => line.post('good')));
    expect(new Set(posts.map(({ body }) => body.inspectionId)).size).toBe(1);
    line.start('score', 'finalize');
    const { inspectionId } = posts[0]!.body;
    await line.post('good', '&wait=result');
    expect(await line.post('good')).toMatchObject({ status: 200, body: { inspectionId, outcome: 'finished' } });
    expect(await line.events('verdicts')).toHaveLength(1);
  });
});

describe('waiting', () => {
  test('for the verdict answers with its event, before the explanations are there', async () => {
    const held = gate();
    line.interventions.gradcam = () => held.passed;
    line.start('score', 'gradcam', 'features', 'shap', 'finalize');
    const { status, body } = await line.post('anomalous', '&wait=verdict');
    expect(status).toBe(200);
    const [event] = await line.events('verdicts');
    expect(body).toEqual({ ...event, outcome: 'enqueued' });
    expect(body).toMatchObject({ verdict: 'anomalous', status: null });
    // told before this one listened, and without a result
    const again = await line.post('anomalous', '&wait=verdict');
    expect(again.body).toMatchObject({ ...event, status: null });
    held.open();
    expect((await line.post('anomalous', '&wait=result')).body).toMatchObject({ status: 'done', schema: 1 });
    expect((await line.post('anomalous', '&wait=verdict')).body).toEqual({
      ...event,
      status: 'done',
      outcome: 'finished',
    });
  });

  test('for an image that fails answers 200 with the failure', async () => {
    line.interventions.score = () => {
      throw new Error('no part in sight');
    };
    line.start('score', 'finalize');
    const failed = { status: 'failed', error: { stage: 'score', message: expect.stringContaining('no part') } };
    const [verdict, result] = await Promise.all([
      line.post('good 1', '&wait=verdict'),
      line.post('good 2', '&wait=result'),
    ]);
    expect(verdict).toMatchObject({ status: 200, body: { ...failed, verdict: null } });
    expect(result).toMatchObject({ status: 200, body: { ...failed, schema: 1 } });
  });

  test('ends with 202 and the id when the time is over', async () => {
    const { status, body } = await line.post('good', '&wait=verdict&timeout=0.01');
    expect([status, body.outcome]).toEqual([202, 'enqueued']);
  });

  test('finds a verdict whose event was lost', async () => {
    const { body } = await line.post('good');
    const waiting = line.post('good', '&wait=verdict');
    const failed = { code: 'STAGE_FAILED', message: 'lost', stage: 'score' as const };
    const inspection = await storeCapture(line.producer, originalOf('good'), undefined);
    expect(inspection.inspectionId).toBe(body.inspectionId);
    const result = { ...eventOf(inspection, { error: failed }), schema: 1, status: 'failed' };
    const { verdict: _, anomalyScore: __, threshold: ___, severity: ____, ...shown } = result;
    const [date] = inspection.capturedAt.split('T');
    await putJson(line.store, `inspections/${date}/${inspection.inspectionId}/result.json`, {
      ...shown,
      finishedAt: inspection.capturedAt,
      policy: 'flagged',
      priority: 0,
    });
    expect((await waiting).body).toMatchObject({ status: 'failed', error: failed });
  });
});

const originalOf = (text: string) => ({
  camera: 'line-1',
  bytes: new TextEncoder().encode(text),
  fileName: 'image',
  capturedAt: new Date().toISOString(),
});

describe('a capture id', () => {
  test('is one inspection for ever: with other bytes, at another time, under a newer bundle', async () => {
    const first = await line.post('good', '&captureId=shot%2F1&capturedAt=2026-01-31T23:59:59.900Z');
    await putJson(line.store, activeBundleKey('kol'), { version: 'v2' });
    await until('the newer bundle', async () => (await line.producer.activeVersionOf('kol')) === 'v2');
    const second = await line.post('good, encoded again', '&captureId=shot%2F1&capturedAt=2026-02-01T00:00:00.100Z');
    expect(second).toEqual(first);
    expect(await keys('images/')).toEqual([first.body.imageKey]);
    const other = await line.post('good', '&captureId=shot%2F2&capturedAt=2026-01-31T23:59:59.900Z');
    expect(other.body.imageKey).toBe(first.body.imageKey); // the same bytes are the same image
    expect(other.body.inspectionId).not.toBe(first.body.inspectionId); // of the newer bundle
  });

  test('is one inspection when two posts race', async () => {
    const posts = await Promise.all(Array.from({ length: 8 }, (_, i) => line.post(`good ${i}`, '&captureId=7')));
    expect(new Set(posts.map(({ body }) => body.inspectionId)).size).toBe(1);
    expect(await keys('images/')).toHaveLength(1);
    expect(await countBacklog(line.queues)).toBe(1);
  });

  test('is one inspection after a crash between its record and its image', async () => {
    const crashed = { ...line.producer, store: { ...line.store, putIfAbsent: firstPutOnly() } };
    await expect(storeCapture(crashed, originalOf('good 1'), '7')).rejects.toThrow('crashed');
    expect([(await keys('captures/')).length, await keys('images/')]).toEqual([1, []]);
    const { body } = await line.post('good 2', '&captureId=7');
    const again = await line.post('good 1', '&captureId=7');
    expect(again.body.inspectionId).toBe(body.inspectionId);
    expect(await keys('images/')).toEqual([body.imageKey]);
  });

  function firstPutOnly(): typeof line.store.putIfAbsent {
    let puts = 0;
    return async (...put) => {
      if (puts++ > 0) throw new Error('crashed');
      return line.store.putIfAbsent(...put);
    };
  }
});

describe('bad input is refused and leaves nothing', () => {
  afterEach(async () => expect(await keys('images/')).toEqual([]));

  const cases: [what: string, body: string | Buffer, query: string, init: RequestInit, status: number, code: string][] =
    [
      ['no bytes', '', '', {}, 400, 'IMAGE_UNREADABLE'],
      ['JSON', '{}', '', { headers: { 'content-type': 'application/json' } }, 415, 'REQUEST_INVALID'],
      ['text', 'good', '', { headers: { 'content-type': 'text/plain' } }, 415, 'REQUEST_INVALID'],
      ['a type that is none', 'good', '', { headers: { 'content-type': 'image' } }, 415, 'REQUEST_INVALID'],
      ['a byte too many', Buffer.alloc(1_000_001, 'g'), '', {}, 413, 'IMAGE_TOO_LARGE'],
      ['60 MB', Buffer.alloc(60e6, 'g'), '', {}, 413, 'IMAGE_TOO_LARGE'],
      ['an unknown camera', 'good', '&camera=line-9', {}, 400, 'REQUEST_INVALID'], // twice in the query
      ['no time', 'good', '&capturedAt=yesterday', {}, 400, 'CAPTURE_TIME_INVALID'],
      ['a time without an offset', 'good', '&capturedAt=2026-01-31T12:00:00', {}, 400, 'CAPTURE_TIME_INVALID'],
      ['a day that is none', 'good', '&capturedAt=2026-02-30T12:00:00Z', {}, 400, 'CAPTURE_TIME_INVALID'],
      ['a clock in the future', 'good', `&capturedAt=${inMinutes(6)}`, {}, 400, 'CAPTURE_TIME_INVALID'],
      ['process data of texts', 'good', '&process={"a":"hot"}', {}, 400, 'PROCESS_DATA_INVALID'],
      ['process data that are no JSON', 'good', '&process={a', {}, 400, 'PROCESS_DATA_INVALID'],
      ['an unknown parameter', 'good', '&wate=verdict', {}, 400, 'REQUEST_INVALID'],
      ['an unknown thing to wait for', 'good', '&wait=later', {}, 400, 'REQUEST_INVALID'],
      ['too long a wait', 'good', '&wait=verdict&timeout=121', {}, 400, 'REQUEST_INVALID'],
      ['an empty capture id', 'good', '&captureId=', {}, 400, 'REQUEST_INVALID'],
    ];
  test.each(cases)('%s', async (_what, body, query, init, status, code) => {
    const answer = await line.post(body, query, init);
    expect(answer).toEqual({ status, body: { error: { code, message: expect.stringMatching(/\w/) } } });
  });

  test('a form without an image, with an empty, a misnamed or a too large one, with two, with another field', async () => {
    const image = new Blob(['good']);
    const forms: [fields: [string, string | Blob][], status: number, code: string][] = [
      [[['camera', 'line-1']], 400, 'IMAGE_UNREADABLE'],
      [[['image', new Blob([])]], 400, 'IMAGE_UNREADABLE'],
      [[['picture', image]], 400, 'REQUEST_INVALID'],
      [[['image', new Blob([Buffer.alloc(60e6)])]], 413, 'IMAGE_TOO_LARGE'],
      [
        [
          ['image', image],
          ['image', image],
        ],
        400,
        'REQUEST_INVALID',
      ],
      [
        [
          ['cam', 'line-1'],
          ['image', image],
        ],
        400,
        'REQUEST_INVALID',
      ],
      [
        [
          ['camera', 'Line 1'],
          ['image', image],
        ],
        400,
        'REQUEST_INVALID',
      ],
    ];
    for (const [fields, status, code] of forms) {
      const body = new FormData();
      for (const [name, value] of fields) body.append(name, value as string);
      const response = await fetch(`${line.url}/v1/images?camera=line-1`, { method: 'POST', body });
      expect([response.status, await response.json()]).toMatchObject([status, { error: { code } }]);
    }
  });

  test('an image of nowhere, of a camera without a product, or of a product without a bundle', async () => {
    const post = (query: string) =>
      fetch(`${line.url}/v1/images${query}`, {
        method: 'POST',
        body: 'good',
        headers: { 'content-type': 'image/png' },
      });
    const codes = async (response: Response) => [
      response.status,
      ((await response.json()) as { error: { code: string } }).error.code,
    ];
    expect(await codes(await post(''))).toEqual([400, 'REQUEST_INVALID']);
    await putJson(line.store, activeBundleKey('other'), { version: 'v1' });
    await putJson(line.store, 'bundles/other/v1/bundle.json', {});
    await putJson(line.store, 'bundles/kol/v1/bundle.json', {});
    expect(await codes(await post('?camera=line-9'))).toEqual([422, 'CAMERA_UNKNOWN']);
    await line.store.delete(activeBundleKey('kol'));
    expect(await codes(await post('?camera=line-1'))).toEqual([422, 'BUNDLE_NOT_FOUND']);
  });

  test('a body that breaks off', async () => {
    const socket = connect(Number(new URL(line.url).port), '127.0.0.1');
    await once(socket, 'connect');
    socket.write(
      'POST /v1/images?camera=line-1 HTTP/1.1\r\nhost: x\r\ncontent-type: image/png\r\ncontent-length: 9\r\n\r\ngood',
    );
    await once(socket.resume().end(), 'close');
    expect((await line.get('/v1/health')).status).toBe(200);
  });
});

test('over the limit of the backlog images are sent away with 429, and none is taken in', async () => {
  await line.close();
  line = await openHttpLine(redis.url, { limits: { maxBacklog: 3 } });
  for (let i = 0; i < 3; i++) expect((await line.post(`good ${i}`)).status).toBe(202);
  const sent = await fetch(`${line.url}/v1/images?camera=line-1`, {
    method: 'POST',
    body: randomBytes(1_000_000),
    headers: { 'content-type': 'image/png' },
  });
  expect([sent.status, Number(sent.headers.get('retry-after'))]).toEqual([429, 1]);
  expect(await sent.json()).toMatchObject({ error: { code: 'BACKLOG_FULL' } });
  expect(await keys('images/')).toHaveLength(3);
  line.start('score', 'finalize');
  await until('room', async () => (await line.post('good 4')).status === 202);
});

test('an event of another inspection is no answer', async () => {
  const other = await storeCapture(line.producer, originalOf('other'), undefined);
  const waiting = line.post('good', '&wait=verdict&timeout=0.5');
  await until('the post', async () => (await countBacklog(line.queues)) === 1);
  await publish(line.queues, 'verdicts', eventOf(other, {}));
  expect((await waiting).status).toBe(202);
});
