import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { ChildMessage } from './embedded-redis-child.js';
import { messageOf, PatchlineError } from './errors.js';
import { freePort } from './free-port.js';
import type { Logger } from './logger.js';
import { claimAddress, liveRedisOf, removeAddress, replaceAddress, storeInUse } from './redis-address.js';

export interface EmbeddedRedisOptions {
  logger: Logger;
  /** Called after the server died and runs again, empty: whatever was queued must be enqueued again. */
  onRestart: () => void | Promise<void>;
}

export interface EmbeddedRedis {
  readonly url: string;
  /** Of the server's process; another one after a restart. */
  readonly pid: number;
  /** Ends the server and removes its address. */
  stop(): Promise<void>;
}

/**
 * Runs a Redis (Valkey as WebAssembly) for a directory store in a process of its own, which ends with this one even when this one
 * is killed. Its address is left in `<store>/redis.json`. It keeps nothing on disk; when it dies it is started again on the same
 * port. Errors: STORE_IN_USE, STORE_UNREACHABLE, QUEUE_UNREACHABLE.
 */
export async function startEmbeddedRedis(directory: string, options: EmbeddedRedisOptions): Promise<EmbeddedRedis> {
  const live = await liveRedisOf(directory);
  if (live) throw storeInUse(directory, live.pid);
  const server = await startOnFreePort();
  const address = () => ({ url: `redis://127.0.0.1:${server.port}`, pid: server.child.pid! });
  const stopping = new AbortController();
  const announce = () => replaceAddress(directory, address());
  const supervision = supervise(server, announce, options, stopping.signal);
  const end = async () => {
    stopping.abort();
    server.child.ref(); // its end is waited for even where nothing else is left to do
    server.child.kill('SIGKILL');
    await supervision;
  };
  try {
    await claimAddress(directory, address());
  } catch (error) {
    await end();
    throw error;
  }
  return {
    url: address().url,
    get pid() {
      return server.child.pid!;
    },
    stop: async () => {
      await end();
      await removeAddress(directory, address());
    },
  };
}

interface RunningServer {
  port: number;
  child: ChildProcess;
}

/** Starts the server again whenever it ends, until `stopping`. */
async function supervise(
  server: RunningServer,
  announce: () => Promise<void>,
  { logger, onRestart }: EmbeddedRedisOptions,
  stopping: AbortSignal,
): Promise<void> {
  const logFailure = (error: unknown) =>
    logger.error({ err: error }, 'Work after a restart of the embedded Redis failed');
  for (;;) {
    const [code, signal] = await exitOf(server.child);
    if (stopping.aborted) return;
    logger.error({ port: server.port, code, signal }, 'The embedded Redis died; starting it again');
    const child = await startAgain(server.port, logger, stopping);
    if (!child) return;
    server.child = child;
    if (stopping.aborted) {
      child.kill('SIGKILL');
      continue;
    }
    await announce().catch(logFailure);
    void notify(onRestart).catch(logFailure); // not waited for: it needs Redis, which may die again meanwhile
  }
}

async function notify(onRestart: EmbeddedRedisOptions['onRestart']): Promise<void> {
  await onRestart();
}

async function startAgain(port: number, logger: Logger, stopping: AbortSignal): Promise<ChildProcess | undefined> {
  for (let failures = 0; !stopping.aborted; failures++) {
    try {
      return await startChild(port);
    } catch (error) {
      logger.error({ port, reason: messageOf(error) }, 'The embedded Redis does not start; trying again');
      await delay(Math.min(100 * 2 ** failures, 5_000), undefined, { signal: stopping }).catch(() => undefined);
    }
  }
  return undefined;
}

async function startOnFreePort(): Promise<RunningServer> {
  for (let attempt = 1; ; attempt++) {
    const port = await freePort();
    try {
      return { port, child: await startChild(port) };
    } catch (error) {
      const taken = error instanceof PatchlineError && error.details.code === 'EADDRINUSE'; // by another process, just now
      if (!taken || attempt === 5) throw error;
    }
  }
}

/** Starts the process and waits until it listens. */
async function startChild(port: number): Promise<ChildProcess> {
  const script = fileURLToPath(new URL('./embedded-redis-child.js', import.meta.url));
  const child = fork(script, [String(port)], { stdio: ['ignore', 'ignore', 'ignore', 'ipc'], execArgv: [] });
  const told = once(child, 'message').then(([message]) => message as ChildMessage);
  const ended = exitOf(child).then(([code, signal]): ChildMessage => ({ error: `it ended with ${signal ?? code}` }));
  const message = await Promise.race([told, ended]);
  if ('error' in message) {
    throw new PatchlineError('QUEUE_UNREACHABLE', `The embedded Redis does not start: ${message.error}`, {
      details: { port, code: message.code },
    });
  }
  child.unref();
  child.channel?.unref();
  return child;
}

async function exitOf(child: ChildProcess): Promise<[number | null, string | null]> {
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  return [child.exitCode, child.signalCode];
}
