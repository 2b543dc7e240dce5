import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { accessSync, constants } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { TestContext } from 'vitest';
import { endWithTests } from './end-with-tests.js';

const cache = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'patchline-ci');
const onPath = (name: string) => (process.env.PATH ?? '').split(delimiter).map((folder) => join(folder, name));

/** Real servers that tests use where they are installed. */
const services = {
  versitygw: { variable: 'TEST_VERSITYGW', places: () => [join(cache, 'versitygw')] },
  'redis-server': { variable: 'TEST_REDIS_SERVER', places: () => onPath('redis-server') },
  mosquitto: { variable: 'TEST_MOSQUITTO', places: () => [...onPath('mosquitto'), '/usr/sbin/mosquitto'] },
};
export type Service = keyof typeof services;

/** Path of a service's program; undefined where it is not installed. */
export function locateService(service: Service): string | undefined {
  const { variable, places } = services[service];
  const given = process.env[variable];
  return (given ? [given] : places()).find(isExecutable);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** Skips the test, saying why, where the service is not installed; in CI that is a failure. Usable as `beforeEach` too. */
export function requireService(service: Service, context: TestContext): void {
  if (locateService(service)) return;
  const reason = `${service} was not found; set ${services[service].variable} to its path`;
  if (process.env.CI === 'true') throw new Error(reason);
  context.skip(reason);
}

export interface RunningProcess {
  pid: number;
  /** Ends it at once, as a crash would, and waits until it is gone. */
  kill(): Promise<void>;
}

/** Starts a program and waits until `isReady` holds; throws with what it printed if it ends before. */
export async function startProcess(
  program: string,
  args: string[],
  isReady: () => Promise<boolean>,
): Promise<RunningProcess> {
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  const failed = once(child, 'error').then(([error]) => Promise.reject(error));
  let printed = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => (printed += text));
  endWithTests(child);
  await Promise.race([failed, once(child, 'spawn')]);
  while (!(await isReady())) {
    if (hasEnded(child)) throw new Error(`${program} ${args.join(' ')} ended before it was ready: ${printed}`);
    await delay(10);
  }
  return { pid: child.pid!, kill: () => end(child) };
}

const hasEnded = (child: ChildProcess) => child.exitCode !== null || child.signalCode !== null;

async function end(child: ChildProcess): Promise<void> {
  if (hasEnded(child)) return;
  const exit = once(child, 'exit');
  child.kill('SIGKILL');
  await exit;
}
