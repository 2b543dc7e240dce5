import { createServer, type Socket } from 'node:net';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { createLogger } from '../../src/shared/logger.js';
import { messageOf } from '../../src/sinks/message.js';
import { openSink, type Sink } from '../../src/sinks/sink.js';
import { brokerKinds, login, type Subscriber, subscribe, type TestBroker } from '../helpers/mqtt-brokers.js';
import { redisKinds, type TestRedis } from '../helpers/redis-kinds.js';
import { eventNumber, openSinkLine, resultNumber, type SinkLine, settingsOf } from '../helpers/sink-line.js';
import { until } from '../helpers/stand-in-line.js';

let redis: TestRedis;
let line: SinkLine;
beforeAll(async () => {
  redis = await redisKinds()[0]!.open();
});
afterAll(() => redis.stop());
beforeEach(async () => {
  vi.stubEnv('BROKER_PASSWORD', login.password);
  line = await openSinkLine(redis.url);
});
afterEach(async () => {
  await line.close();
  vi.unstubAllEnvs();
});

describe.each(brokerKinds())('on $name', ({ version, open }) => {
  let broker: TestBroker;
  let subscriber: Subscriber | undefined;
  beforeEach(async () => {
    broker = await open();
  });
  afterEach(async () => {
    await line.close();
    await subscriber?.end();
    await broker.remove();
  });

  const mqtt = (settings: object = {}) =>
    settingsOf({
      type: 'mqtt',
      url: broker.url,
      from: 'all',
      username: login.username,
      passwordEnv: 'BROKER_PASSWORD',
      ...settings,
    });
  const done = (settings: ReturnType<typeof mqtt>) =>
    until('all acknowledged', async () => (await line.open(settings)) === 0);

  test('a subscriber is told every verdict and result, failed images too, under topics of product and camera', async () => {
    subscriber = await subscribe(broker, version, 'patchline/#');
    const settings = mqtt({ expirySeconds: 3_600 });
    await line.inspect(0, 100);
    await line.run(settings);
    await done(settings);
    const { messages } = subscriber;
    await until('all told', () => messages.length >= 200);
    for (const [stream, kind] of [['verdicts', 'verdict'] as const, ['results', 'result'] as const]) {
      const own = messages.filter(({ topic }) => topic === `patchline/plate/line-1/${kind}`);
      const told = own.map(({ payload }) => {
        const { delivery, kind: said, ...event } = JSON.parse(payload);
        expect([delivery, said]).toEqual([messageOf(kind, event).delivery, kind]);
        return event;
      });
      expect(told).toEqual(Array.from({ length: 100 }, (_, n) => eventNumber(stream, n)));
    }
    const { packet, payload } = messages[0]!;
    expect(packet).toMatchObject({ qos: 1, retain: false });
    if (version === 4) return;
    const { delivery, kind, inspectionId } = JSON.parse(payload);
    expect(packet.properties).toMatchObject({
      contentType: 'application/json',
      userProperties: { delivery, kind, inspectionId },
    });
    expect(packet.properties!.messageExpiryInterval).toBeGreaterThan(3_000);
  });

  test('while the broker is down events wait, and all are told when it is back', async () => {
    const settings = mqtt({ topic: 'plant/{outcome}', events: ['results'] });
    await line.run(settings);
    await line.inspect(0, 30);
    await done(settings);
    await broker.stop();
    await line.inspect(30, 60);
    await until('its trouble is told', async () => (await line.status(settings)).trouble !== null);
    expect(await line.open(settings)).toBe(30);
    await broker.start();
    subscriber = await subscribe(broker, version, 'plant/+');
    await done(settings);
    const { messages } = subscriber;
    const told = () => new Set(messages.map(({ payload }) => JSON.parse(payload).inspectionId));
    // What it was told before the subscriber was back is lost to that, not to the broker.
    const acknowledged = 30 - told().size;
    expect(acknowledged).toBeLessThan(30);
    await line.inspect(60, 90);
    await done(settings);
    await until('the last is told', () => told().has(resultNumber(89).inspectionId));
    expect(new Set(messages.map(({ topic }) => topic))).toEqual(
      new Set(['plant/good', 'plant/anomalous', 'plant/failed']),
    );
    expect(await line.failed(settings)).toEqual([]);
  });

  test('a retained message and a status topic tell who comes later', async () => {
    const settings = mqtt({ retain: true, statusTopic: 'patchline/status', events: ['results'] });
    const running = await line.run(settings);
    await line.inspect(0, 1);
    await done(settings);
    subscriber = await subscribe(broker, version, 'patchline/#');
    const { messages } = subscriber;
    await until('both told', () => messages.length >= 2);
    const retained = Object.fromEntries(messages.map(({ topic, payload }) => [topic, payload]));
    expect(retained['patchline/status']).toBe('online');
    expect(JSON.parse(retained['patchline/plate/line-1/result']!)).toMatchObject(eventNumber('results', 0));
    await running.close();
    await until('it has gone', () => messages.at(-1)?.payload === 'offline');
  });
});

describe('a broker that takes the connection', () => {
  let sink: Sink | undefined;
  const sockets = new Set<Socket>();
  afterEach(async () => {
    for (const socket of sockets) socket.destroy();
    await sink?.close();
  });

  /** What is before the body: type and flags, then the length in groups of seven bits. */
  function firstPacket(bytes: Buffer) {
    let length = 0;
    let at = 1;
    do {
      if (at >= bytes.length) return undefined;
      length += (bytes[at]! & 127) << (7 * (at - 1));
    } while (bytes[at++]! & 128);
    const end = at + length;
    return bytes.length < end ? undefined : { type: bytes[0]! >> 4, body: bytes.subarray(at, end), end };
  }

  const receiveMaximum = 2;

  /** A broker of MQTT 5 that answers each PUBLISH with what it is told to. */
  async function startBroker(answer: (id: Buffer, socket: Socket) => void): Promise<string> {
    const server = createServer((socket) => {
      sockets.add(socket);
      socket.on('error', () => {});
      let received = Buffer.alloc(0);
      socket.on('data', (bytes) => {
        received = Buffer.concat([received, bytes]);
        for (let packet = firstPacket(received); packet; packet = firstPacket(received)) {
          received = received.subarray(packet.end);
          if (packet.type === 1) socket.write(Buffer.from([0x20, 6, 0, 0, 3, 0x21, 0, receiveMaximum]));
          const idAt = packet.type === 3 ? 2 + packet.body.readUInt16BE(0) : 0;
          if (packet.type === 3) answer(packet.body.subarray(idAt, idAt + 2), socket);
        }
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as { port: number };
    server.unref();
    return `mqtt://127.0.0.1:${port}`;
  }

  async function connected(url: string): Promise<Sink> {
    const environment = { logger: createLogger('silent'), queuesUrl: '', prefix: 'patchline' };
    sink = await openSink(settingsOf({ type: 'mqtt', url }), environment);
    const { signal } = new AbortController();
    const message = messageOf('result', eventNumber('results', 0));
    await until('a connection', async () =>
      sink!.deliver(message, signal).then(
        () => true,
        (error: Error) => !error.message.includes('connection to the broker'),
      ),
    );
    return sink;
  }
  const deliver = (to: Sink) =>
    to.deliver(messageOf('result', eventNumber('results', 1)), new AbortController().signal);

  test.each([
    ['does not allow a topic', 0x87, 'SINK_REFUSED'],
    ['finds a payload invalid', 0x99, 'SINK_REFUSED'],
    ['has a full quota', 0x97, 'SINK_UNREACHABLE'],
    ['fails', 0x80, 'SINK_UNREACHABLE'],
  ])('and %s', async (_, reason, code) => {
    const to = await connected(await startBroker((id, socket) => socket.write(Buffer.from([0x40, 3, ...id, reason]))));
    await expect(deliver(to)).rejects.toMatchObject({ code });
  });

  test('and says how many events it takes at once', async () => {
    const to = await connected(await startBroker((id, socket) => socket.write(Buffer.from([0x40, 2, ...id]))));
    await deliver(to);
    expect(to.atOnce).toBe(receiveMaximum);
  });

  test('and breaks it before it acknowledges an event: the event waits for the stream', async () => {
    const to = await connected(await startBroker((_, socket) => socket.destroy()));
    await until('a connection', async () => {
      const said = await deliver(to).catch((error) => error);
      expect(said).toMatchObject({ code: 'SINK_UNREACHABLE' });
      return said.message.endsWith('Message removed');
    });
  });
});
