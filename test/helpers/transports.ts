import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ObjectStore } from '../../src/shared/store/object-store.js';
import { openStore } from '../../src/shared/store/open-store.js';
import { type CommandProcess, startCommand } from './command-line.js';
import { startRedisServer } from './redis-server.js';
import { startS3Server } from './s3-server.js';
import { locateService, type Service } from './services.js';

/** A store, a Redis and how workers are run on them. */
export interface Transport {
  /** What every command needs to work here. */
  env: Record<string, string>;
  store: ObjectStore;
  /** Starts the workers of all stages and waits until they are ready. */
  startWorkers(): Promise<void>;
  /** Of its Redis, once the workers have started. */
  redisUrl(): Promise<string>;
  /** Ends the workers as a service manager does and gives their exit codes. */
  stopWorkers(): Promise<(number | null)[]>;
  remove(): Promise<void>;
}

export interface TransportKind {
  name: string;
  needs: Service[];
  /** What is the same on every transport and therefore tried on one: activating needs a Redis that outlives the workers. */
  tried?: 'collecting' | 'activating';
  open(): Promise<Transport>;
}

type Place = { store: ObjectStore; env?: Record<string, string>; remove(): Promise<void> };

async function directory(): Promise<Place> {
  const path = await mkdtemp(join(tmpdir(), 'patchline-transport-'));
  return { store: await openStore(path), remove: () => rm(path, { recursive: true, force: true }) };
}

async function s3(): Promise<Place> {
  const { url, env, stop } = await startS3Server('versitygw');
  Object.assign(process.env, env);
  return { store: await openStore(url), env, remove: stop };
}

/** Processes of patchline that are started together and asked to end together. */
function createProcesses() {
  let running: CommandProcess[] = [];
  return {
    async start(commands: { args: string[]; ready: string }[], env: Record<string, string>): Promise<void> {
      running = commands.map(({ args }) => startCommand(args, env));
      await Promise.all(running.map((each, place) => each.printed(commands[place]!.ready)));
    },
    async stop(): Promise<(number | null)[]> {
      for (const { child } of running) child.kill('SIGTERM');
      const codes = await Promise.all(running.map(({ ended }) => ended));
      running = [];
      return codes;
    },
  };
}

async function embedded(): Promise<Transport> {
  const { store, remove } = await directory();
  const env = { PATCHLINE_STORE: store.url };
  const processes = createProcesses();
  return {
    env,
    store,
    startWorkers: () => processes.start([{ args: ['up'], ready: 'ready:' }], env),
    redisUrl: async () => JSON.parse(await readFile(join(store.url, 'redis.json'), 'utf8')).url,
    stopWorkers: processes.stop,
    async remove() {
      await processes.stop();
      await remove();
    },
  };
}

const workers = [['score'], ['gradcam', 'features', 'shap'], ['finalize']].map((stages) => ({
  args: ['worker', ...stages],
  ready: `working on ${stages.join(', ')}`,
}));

const apart = (place: () => Promise<Place>) => async (): Promise<Transport> => {
  const [{ store, env: access, remove }, redis] = await Promise.all([place(), startRedisServer()]);
  const env = { ...access, PATCHLINE_STORE: store.url, REDIS_URL: redis.url };
  const processes = createProcesses();
  return {
    env,
    store,
    startWorkers: () => processes.start(workers, env),
    redisUrl: async () => redis.url,
    stopWorkers: processes.stop,
    async remove() {
      await processes.stop();
      await Promise.all([redis.stop(), remove()]);
    },
  };
};

const kinds: TransportKind[] = [
  { name: 'a directory and the embedded Redis of `up`', needs: [], tried: 'collecting', open: embedded },
  {
    name: 'a directory, redis-server and separate workers',
    needs: ['redis-server'],
    tried: 'activating',
    open: apart(directory),
  },
  {
    name: 'S3, redis-server and separate workers',
    needs: ['redis-server', 'versitygw'],
    open: apart(s3),
  },
];

/** Where the pipeline is tested: always on its own means, on real servers where they are installed, which CI demands. */
export function transportKinds(): TransportKind[] {
  return kinds.filter(({ name, needs }) => {
    const missing = needs.filter((service) => !locateService(service));
    if (missing.length > 0 && process.env.CI === 'true') throw new Error(`${missing} is not installed`);
    if (missing.length > 0) console.log(`${missing} is not installed: the pipeline is not tested on ${name}`);
    return missing.length === 0;
  });
}
