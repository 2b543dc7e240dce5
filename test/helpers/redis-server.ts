import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '../../src/shared/free-port.js';
import { pingRedis } from '../../src/shared/redis-ping.js';
import { locateService, startProcess } from './services.js';

export interface RedisServerOptions {
  /** Further arguments of redis-server, such as ['--maxmemory-policy', 'allkeys-lru'] or ['--appendonly', 'yes']. */
  args?: string[];
}

export interface RedisServer {
  readonly url: string;
  readonly pid: number;
  /** Ends it at once, as a crash would; `restart` brings it back. */
  kill(): Promise<void>;
  /** Ends it, if it runs, and starts it again on the same port: empty, unless an argument made it keep its data. */
  restart(): Promise<void>;
  /** Ends it and removes its directory. */
  stop(): Promise<void>;
}

/** Starts a real redis-server on a free port, with its files in a temporary directory. */
export async function startRedisServer({ args = [] }: RedisServerOptions = {}): Promise<RedisServer> {
  const program = locateService('redis-server');
  if (!program) throw new Error('redis-server is not installed');
  const directory = await mkdtemp(join(tmpdir(), 'patchline-redis-'));
  const port = await freePort();
  const url = `redis://127.0.0.1:${port}`;
  const settings = ['--port', `${port}`, '--bind', '127.0.0.1', '--dir', directory, '--save', '', ...args];
  const start = () => startProcess(program, settings, async () => (await pingRedis(url, 1_000)) === undefined);
  let server = await start();
  return {
    url,
    get pid() {
      return server.pid;
    },
    kill: () => server.kill(),
    restart: async () => {
      await server.kill();
      server = await start();
    },
    stop: async () => {
      await server.kill();
      await rm(directory, { recursive: true, force: true });
    },
  };
}
