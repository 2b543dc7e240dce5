import { createHmac } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { streamKey } from '../../src/shared/queues.js';
import { getFailed } from '../../src/sinks/failed-events.js';
import { listGaps } from '../../src/sinks/gaps.js';
import { openInbox } from '../../src/sinks/inbox.js';
import { retryFailed } from '../../src/sinks/retry-failed.js';
import { openSink } from '../../src/sinks/sink.js';
import type { StreamEntry } from '../../src/sinks/stream-group.js';
import { runCommand, runHere, startCommand } from '../helpers/command-line.js';
import { type HttpReceiver, startHttpReceiver } from '../helpers/http-receiver.js';
import { redisKinds, type TestRedis } from '../helpers/redis-kinds.js';
import { eventNumber, openSinkLine, resultNumber, type SinkLine, settingsOf } from '../helpers/sink-line.js';
import { gate, until } from '../helpers/stand-in-line.js';

describe.each(redisKinds())('on $name', ({ open }) => {
  let redis: TestRedis;
  let line: SinkLine;
  let receiver: HttpReceiver;
  beforeAll(async () => {
    redis = await open();
  });
  afterAll(() => redis.stop());
  beforeEach(async () => {
    [line, receiver] = await Promise.all([openSinkLine(redis.url), startHttpReceiver()]);
  });
  afterEach(async () => {
    await line.close();
    await receiver.die().catch(() => undefined);
    vi.unstubAllEnvs();
  });

  const webhook = (settings: object = {}) =>
    settingsOf({ type: 'webhook', url: receiver.url, from: 'all', ...settings });
  const received = () => receiver.requests.map(({ body }) => JSON.parse(body));
  const idsOf = (kind: string) =>
    received()
      .filter((event) => event.kind === kind)
      .map((event) => event.inspectionId);
  const numbers = (from: number, to: number) =>
    Array.from({ length: to - from }, (_, at) => resultNumber(from + at).inspectionId);
  const done = (settings: ReturnType<typeof webhook>) =>
    until('all acknowledged', async () => (await line.open(settings)) === 0);

  test('a webhook is told every event, failed images too, signed over time and body', async () => {
    vi.stubEnv('MES_KEY', 'a secret');
    vi.stubEnv('MES_TOKEN', 'Bearer of it');
    const settings = webhook({ secretEnv: 'MES_KEY', authorizationEnv: 'MES_TOKEN', concurrency: 1 });
    await line.inspect(0, 3);
    await line.run(settings);
    await done(settings);
    const told = received().map(({ delivery, kind, ...event }) => [kind, event]);
    const expected = (['verdicts', 'results'] as const).flatMap((stream) =>
      [0, 1, 2].map((n) => [stream.slice(0, -1), eventNumber(stream, n)]),
    );
    expect(told).toEqual(expect.arrayContaining(expected));
    expect(told).toHaveLength(6);
    for (const { headers, body } of receiver.requests) {
      const timestamp = headers['patchline-timestamp'] as string;
      const hmac = createHmac('sha256', 'a secret')
        .update(Buffer.from(`${timestamp}.${body}`))
        .digest('hex');
      const { delivery, kind } = JSON.parse(body);
      expect(headers).toMatchObject({
        'content-type': 'application/json',
        authorization: 'Bearer of it',
        'patchline-signature': `sha256=${hmac}`,
        'patchline-delivery': delivery,
        'patchline-event': kind,
      });
      expect(Math.abs(Number(timestamp) * 1000 - Date.now())).toBeLessThan(600_000);
    }
    expect(new Set(receiver.requests.map(({ headers }) => headers['patchline-delivery'])).size).toBe(6);
  });

  test('while a webhook is dead events wait, and nothing is lost, changed in order or put on the failed list', async () => {
    const settings = webhook({ concurrency: 1, events: ['results'] });
    await receiver.die();
    await line.run(settings);
    await line.inspect(0, 250);
    await until('its trouble is told', async () => (await line.status(settings)).trouble !== null);
    expect((await line.status(settings)).trouble?.reason).toMatch(/ECONNREFUSED/);
    expect(await line.open(settings)).toBe(250);
    await receiver.revive();
    await done(settings);
    expect(idsOf('result')).toEqual(numbers(0, 250));
    expect(await line.failed(settings)).toEqual([]);
    await until('its trouble is over', async () => (await line.status(settings)).trouble === null);
  });

  test('an endpoint that takes nothing for now is asked when it says, and its events are not failed', async () => {
    const settings = webhook({ attempts: 1, events: ['results'] });
    const answers = [
      { status: 503 },
      { status: 429, headers: { 'retry-after': '1' } },
      { status: 502 },
      { status: 504 },
    ];
    receiver.answer = () => answers.shift() ?? { status: 200 };
    await line.inspect(0, 1);
    await line.run(settings);
    await done(settings);
    expect(receiver.requests).toHaveLength(5);
    expect(await line.failed(settings)).toEqual([]);
  });

  test('an error of the endpoint is tried again under the same delivery id', async () => {
    const settings = webhook({ attempts: 3, events: ['results'] });
    const answers = [{ status: 500 }, { status: 408 }];
    receiver.answer = () => answers.shift() ?? { status: 200 };
    await line.inspect(0, 1);
    await line.run(settings);
    await done(settings);
    expect(receiver.requests).toHaveLength(3);
    expect(new Set(received().map(({ delivery }) => delivery)).size).toBe(1);
    expect(await line.failed(settings)).toEqual([]);
  });

  test('what an endpoint refuses is kept with the reason while the rest goes on, until it is taken', async () => {
    const settings = webhook({ attempts: 2, events: ['results'] });
    receiver.answer = ({ body }) => {
      const { inspectionId } = JSON.parse(body);
      if (inspectionId === resultNumber(1).inspectionId) return { status: 422, body: 'unknown part' };
      if (inspectionId === resultNumber(2).inspectionId) return { status: 500 };
      if (inspectionId === resultNumber(3).inspectionId) return { status: 302, headers: { location: receiver.url } };
      return { status: 200 };
    };
    await line.inspect(0, 6);
    await line.run(settings);
    await done(settings);
    const requests = (n: number) => idsOf('result').filter((id) => id === resultNumber(n).inspectionId).length;
    expect([0, 1, 2, 3, 4, 5].map(requests)).toEqual([1, 1, 2, 1, 1, 1]);
    const failed = await line.failed(settings);
    expect(failed.map((delivery) => delivery.slice(0, 35))).toEqual([1, 2, 3].map((n) => resultNumber(n).inspectionId));
    const kept = await getFailed(line.store, 'mes', failed[0]!);
    expect(kept).toMatchObject({ kind: 'result', event: eventNumber('results', 1) });
    expect(kept!.reason).toBe('Expected a status from 200 to 299 but received 422 Unprocessable Entity unknown part');

    receiver.requests.length = 0;
    receiver.answer = ({ body }) => ({ status: body.includes(resultNumber(1).inspectionId) ? 200 : 400 });
    const sink = await openSink(settings, { logger: line.queues.redis as never, queuesUrl: '', prefix: '' });
    const events = (async function* () {
      for (const delivery of failed) yield (await getFailed(line.store, 'mes', delivery))!;
    })();
    const report = await retryFailed(line.store, { name: 'mes', sink, backoffMs: 1 }, events);
    expect(report).toMatchObject({ delivered: 1, refused: [{ delivery: failed[1] }, { delivery: failed[2] }] });
    expect(await line.failed(settings)).toEqual(failed.slice(1));
    expect(receiver.requests[0]!.headers['patchline-delivery']).toBe(failed[0]);
  });

  test('a filter lets through what it names, failed images by outcome', async () => {
    const settings = webhook({ filter: { outcome: ['anomalous', 'failed'], product: ['plate'], camera: ['line-1'] } });
    const nothing = webhook({ name: 'nothing', filter: { camera: ['line-2'] } });
    await line.inspect(0, 6);
    await Promise.all([line.run(settings), line.run(nothing)]);
    await Promise.all([done(settings), done(nothing)]);
    const expected = [1, 2, 4, 5].map((n) => resultNumber(n).inspectionId);
    expect([idsOf('verdict').sort(), idsOf('result').sort()]).toEqual([expected, expected]);
  });

  test('a new sink starts at what comes, and goes on where it stopped', async () => {
    const settings = webhook({ from: 'new', events: ['results'], concurrency: 1 });
    await line.inspect(0, 3);
    const first = await line.run(settings);
    await until('its group', async () => (await line.status(settings)).streams[0]!.waiting === 0);
    await line.inspect(3, 6);
    await done(settings);
    await first.close();
    await line.inspect(6, 9);
    await line.run(settings);
    await done(settings);
    expect(idsOf('result')).toEqual(numbers(3, 9));
  });

  test('processes that run the same sink share the events', async () => {
    const settings = webhook();
    const unhurried = { takeOverMs: 60_000 };
    await Promise.all([line.run(settings, unhurried), line.run(settings, unhurried)]);
    await line.inspect(0, 100);
    await done(settings);
    expect(idsOf('result').sort()).toEqual(numbers(0, 100));
    expect(idsOf('verdict').sort()).toEqual(numbers(0, 100));
    expect((await line.status(settings)).processes).toBe(2);
  });

  test('a process killed between delivery and acknowledgement leaves its events to the next', async () => {
    const { passed: told, open: tell } = gate();
    receiver.answer = async () => {
      tell();
      return await new Promise<never>(() => {}); // the process does not live to read the answer
    };
    const { prefix } = line.queues.config;
    const file = join(line.store.url, 'config.yaml');
    const sinks = [{ name: 'mes', type: 'webhook', url: receiver.url, from: 'all', events: ['results'] }];
    await writeFile(file, JSON.stringify({ queue: { prefix }, sinks }));
    await line.inspect(0, 20);
    const args = ['worker', 'sinks', '--store', line.store.url, '--config', file];
    const worker = startCommand(args, { REDIS_URL: redis.url });
    await told;
    worker.child.kill('SIGKILL');
    await worker.ended;
    expect(await line.status(webhook({ events: ['results'] }))).toMatchObject({
      streams: [{ stream: 'results', waiting: 0, underWay: 20 }],
    });
    receiver.requests.length = 0;
    receiver.answer = () => ({ status: 200 });
    const settings = webhook({ events: ['results'] });
    await line.run(settings);
    await done(settings);
    expect(idsOf('result').sort()).toEqual(numbers(0, 20));
  });

  test('the commands show, retry and drop what a sink has failed to deliver', async () => {
    const settings = webhook({ events: ['results'] });
    receiver.answer = () => ({ status: 400 });
    await line.inspect(0, 3);
    await line.run(settings);
    await done(settings);
    const config = join(line.store.url, 'config.yaml');
    const sinks = [{ name: 'mes', type: 'webhook', url: receiver.url, events: ['results'] }];
    await writeFile(config, JSON.stringify({ queue: { prefix: line.queues.config.prefix }, sinks }));
    vi.stubEnv('REDIS_URL', redis.url);
    const command = async (...args: string[]) => {
      const { code, stdout } = await runHere([
        'sinks',
        ...args,
        '--store',
        line.store.url,
        '--config',
        config,
        '--json',
      ]);
      return { code, answer: JSON.parse(stdout) };
    };
    const open = { stream: 'results', waiting: 0, underWay: 0 };
    const own = { name: 'mes', type: 'webhook', processes: 1, streams: [open], trouble: null, missed: [], failed: 3 };
    expect(await command('status')).toEqual({ code: 0, answer: [own] });
    expect(await command('list')).toEqual({
      code: 0,
      answer: [{ name: 'mes', type: 'webhook', events: ['results'], filter: {} }],
    });
    const [first, second, third] = await line.failed(settings);
    receiver.answer = ({ body }) => ({ status: body.includes(first!) ? 200 : 410 });
    const retried = await command('retry', 'mes', '--all');
    expect(retried).toMatchObject({
      code: 1,
      answer: { delivered: 1, refused: [{ delivery: second }, { delivery: third }] },
    });
    expect(await command('drop', 'mes', second!)).toEqual({ code: 0, answer: { dropped: 1 } });
    expect(await command('failed', 'mes')).toMatchObject({
      code: 0,
      answer: [{ delivery: third, reason: expect.stringContaining('410') }],
    });
    expect(await command('drop', 'mes', second!)).toMatchObject({ code: 2 });
    expect(await command('failed', 'other')).toMatchObject({ code: 1, answer: { error: { code: 'SINK_UNKNOWN' } } });
  });

  test('a process whose environment lacks a secret does not start', async () => {
    const config = join(line.store.url, 'config.yaml');
    const sinks = [{ name: 'mes', type: 'webhook', url: receiver.url, secretEnv: 'MES_KEY' }];
    await writeFile(config, JSON.stringify({ sinks }));
    const args = ['worker', 'score', 'sinks', '--store', line.store.url, '--config', config];
    const { code, stderr } = await runCommand(args, { REDIS_URL: redis.url });
    expect([code, stderr]).toEqual([1, expect.stringContaining('Expected the environment variable MES_KEY')]);
  });

  test('an entry whose acknowledgement fails comes again', async () => {
    const { redis: commands, config } = line.queues;
    const key = streamKey(config, 'results');
    await line.inspect(0, 1, { streams: ['results'] });
    await commands.xgroup('CREATE', key, 'sink-mes', '0');
    const refusing = new Proxy(commands, {
      get: (target, name) =>
        name === 'xack' ? () => Promise.reject(new Error('READONLY')) : Reflect.get(target, name),
    });
    const pace = { blockMs: 1, takeOverMs: 1, beatMs: 1 };
    const inbox = openInbox({
      redis: refusing,
      reader: commands,
      streams: [key],
      group: 'sink-mes',
      consumer: 'c',
      pace,
    });
    const [entry] = (await inbox.next()).entries;
    await expect(inbox.acknowledge(entry!)).rejects.toThrow('READONLY');
    let again: StreamEntry[] = [];
    await until('it came again', async () => {
      again = (await inbox.next()).entries;
      return again.length > 0;
    });
    expect(again).toEqual([entry]);
  });

  test('a process that is closed hands its events on at once', async () => {
    const settings = webhook({ events: ['results'] });
    await receiver.die();
    const unhurried = { takeOverMs: 600_000 };
    const first = await line.run(settings, unhurried);
    await line.inspect(0, 20);
    await until('it has read some', async () => (await line.status(settings)).streams[0]!.underWay > 0);
    await first.close();
    await receiver.revive();
    await line.run(settings, unhurried);
    await done(settings);
    expect(idsOf('result').sort()).toEqual(numbers(0, 20));
  });

  test('events that a stream dropped before they were read are told from the results in the store', async () => {
    const settings = webhook();
    const first = await line.run(settings);
    await line.inspect(0, 3);
    await done(settings);
    await first.close();
    receiver.requests.length = 0;
    await line.inspect(3, 40, { stored: true });
    await line.trim('verdicts', 5);
    await line.trim('results', 5);
    await line.run(settings);
    await until('made up for', async () => {
      const told = [...new Set(idsOf('result')), ...new Set(idsOf('verdict'))];
      return told.length === 2 * 37 && (await listGaps(line.store, 'mes')).length === 0;
    });
    expect([...new Set(idsOf('result'))].sort()).toEqual(numbers(3, 40));
    expect([...new Set(idsOf('verdict'))].sort()).toEqual(numbers(3, 40));
    // What was told from the store is what the stream would have told.
    const deliveries = new Map(received().map(({ delivery, kind, ...event }) => [delivery, event]));
    expect(deliveries.size).toBe(2 * 37);
    expect(await line.status(settings)).toMatchObject({ missed: [], failed: 0 });
  });

  test('events that were read but trimmed before their process died are made up for, too', async () => {
    const settings = webhook({ events: ['results'] });
    const { redis: commands, config } = line.queues;
    await line.inspect(0, 5, { stored: true });
    const key = streamKey(config, 'results');
    await commands.xgroup('CREATE', key, 'sink-mes', '0');
    await commands.xreadgroup('GROUP', 'sink-mes', 'dead', 'COUNT', 5, 'STREAMS', key, '>');
    await line.trim('results', 0);
    await line.run(settings);
    await until('made up for', () => new Set(idsOf('result')).size === 5);
    expect([...new Set(idsOf('result'))].sort()).toEqual(numbers(0, 5));
    await done(settings);
  });

  test('events that were trimmed while a process held them are made up for after it has ended', async () => {
    const settings = webhook({ events: ['results'] });
    await receiver.die();
    const first = await line.run(settings);
    await line.inspect(0, 5, { stored: true });
    await until('it has read them', async () => (await line.status(settings)).streams[0]!.underWay === 5);
    await line.trim('results', 0);
    await first.close();
    await receiver.revive();
    await line.run(settings);
    await until('made up for', () => new Set(idsOf('result')).size === 5);
    await done(settings);
  });

  test('a Redis that comes back empty costs no event', async () => {
    const settings = webhook();
    await line.run(settings);
    await line.inspect(0, 3, { stored: true });
    await done(settings);
    await receiver.die();
    await line.inspect(3, 6, { stored: true });
    await until('it has read some', async () => (await line.status(settings)).trouble !== null);
    await line.inspect(6, 60, { stored: true });
    await redis.flush();
    await line.inspect(60, 70, { stored: true });
    await receiver.revive();
    const all = (kind: string) => new Set(idsOf(kind)).size;
    await until('all told', () => all('result') === 70 && all('verdict') === 70);
    await until('nothing missed', async () => (await listGaps(line.store, 'mes')).length === 0);
    expect(await line.failed(settings)).toEqual([]);
  });

  test('a stream gets copies of what passes, and keeps the last of them', async () => {
    const key = `copy-${line.queues.config.prefix}`;
    const settings = settingsOf({
      type: 'stream',
      key,
      from: 'all',
      events: ['results'],
      filter: { outcome: ['failed'] },
    });
    await line.inspect(0, 6);
    await line.run(settings);
    await done(settings);
    const entries = await line.queues.redis.xrange(key, '-', '+');
    const told = entries.map(([, [, event, , kind, , delivery]]) => {
      const { delivery: id, kind: said, ...rest } = JSON.parse(event!);
      expect([id, said]).toEqual([delivery, kind]);
      return rest;
    });
    expect(told).toEqual([2, 5].map((n) => eventNumber('results', n)));
  });
});
