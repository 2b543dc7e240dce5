import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Aedes } from 'aedes';
import mqtt, { type IPublishPacket } from 'mqtt';
import { freePort } from '../../src/shared/free-port.js';
import { locateService, startProcess } from './services.js';

export interface TestBroker {
  url: string;
  /** Ends, with all connections cut; `start` brings it back on the same port. */
  stop(): Promise<void>;
  start(): Promise<void>;
  remove(): Promise<void>;
}

export interface BrokerKind {
  name: string;
  version: 4 | 5;
  open(): Promise<TestBroker>;
}

/** The one user that brokers take. */
export const login = { username: 'line', password: 'of the broker' };

const aedes: BrokerKind = {
  name: 'aedes, which speaks MQTT 3.1.1',
  version: 4,
  async open() {
    const port = await freePort();
    const sockets = new Set<Socket>();
    let stop = async () => {};
    const broker: TestBroker = {
      url: `mqtt://127.0.0.1:${port}`,
      async start() {
        const authenticate = (
          _: unknown,
          name: unknown,
          password: unknown,
          done: (error: null, taken: boolean) => void,
        ) => done(null, name === login.username && String(password) === login.password);
        const running = await Aedes.createBroker({ authenticate: authenticate as never });
        const server = createServer((socket) => {
          sockets.add(socket.once('close', () => sockets.delete(socket)));
          running.handle(socket);
        });
        server.listen(port, '127.0.0.1');
        await once(server, 'listening');
        stop = async () => {
          for (const socket of sockets) socket.destroy();
          server.close();
          await new Promise<void>((resolve) => running.close(resolve));
        };
      },
      stop: () => stop(),
      remove: () => stop(),
    };
    await broker.start();
    return broker;
  },
};

const mosquitto: BrokerKind = {
  name: 'mosquitto, which speaks MQTT 5',
  version: 5,
  async open() {
    const directory = await mkdtemp(join(tmpdir(), 'patchline-mosquitto-'));
    const port = await freePort();
    const url = `mqtt://127.0.0.1:${port}`;
    const config = join(directory, 'mosquitto.conf');
    await writeFile(config, `listener ${port} 127.0.0.1\nallow_anonymous true\nuser root\nmax_inflight_messages 5\n`);
    const start = () => startProcess(locateService('mosquitto')!, ['-c', config], () => answers(url));
    let process = await start();
    return {
      url,
      stop: () => process.kill(),
      async start() {
        process = await start();
      },
      async remove() {
        await process.kill();
        await rm(directory, { recursive: true, force: true });
      },
    };
  },
};

async function answers(url: string): Promise<boolean> {
  const client = mqtt.connect(url, { reconnectPeriod: 0 });
  const connected = await new Promise<boolean>((resolve) => {
    client
      .once('connect', () => resolve(true))
      .once('close', () => resolve(false))
      .on('error', () => {});
  });
  client.end(true);
  return connected;
}

/** Brokers that tests run on: aedes always, mosquitto where it is installed, which CI demands. */
export function brokerKinds(): BrokerKind[] {
  if (locateService('mosquitto')) return [aedes, mosquitto];
  if (process.env.CI === 'true') throw new Error('mosquitto is not installed, and CI tests nothing by halves');
  console.log('mosquitto is not installed: MQTT is tested on aedes only, which does not speak MQTT 5');
  return [aedes];
}

export interface Subscriber {
  messages: { topic: string; payload: string; packet: IPublishPacket }[];
  end(): Promise<void>;
}

/** A subscriber of its own, over TCP. */
export async function subscribe(broker: TestBroker, version: 4 | 5, topic: string): Promise<Subscriber> {
  const client = await mqtt.connectAsync(broker.url, { protocolVersion: version, ...login });
  const subscriber: Subscriber = { messages: [], end: () => client.endAsync(true) };
  client.on('message', (name, payload, packet) => {
    subscriber.messages.push({ topic: name, payload: payload.toString(), packet });
  });
  await client.subscribeAsync(topic, { qos: 1 });
  return subscriber;
}
