import { PatchlineError } from '../shared/errors.js';
import { remark } from './command-line.js';
import type { Connection } from './connection.js';

/** Something that runs beside the workers until it is closed. */
export interface Service {
  close(): Promise<void>;
}

/**
 * What `up` runs beside the workers of all stages, and `worker NAME` alone; undefined where the configuration asks for none
 * of it. Loaded when it is started.
 */
export const services: Record<string, (connection: Connection) => Promise<Service | undefined>> = {
  sinks: async (connection) => (await import('../sinks/start-sinks.js')).startSinks(connection.config, connection),
  async serve(connection) {
    const { port, ...address } = connection.config.serve;
    if (port === null) return undefined;
    const { startHttpServer } = await import('../producer/http/server.js');
    const server = await startHttpServer(connection, { ...address, port });
    remark(`serving ${server.url}`);
    return server;
  },
  watch: async (connection) => (await import('./watch-services.js')).startWatching(connection),
  poll: async (connection) => (await import('./watch-services.js')).startPolling(connection),
  history: async (connection) =>
    connection.config.history.enabled
      ? (await import('../history/writer.js')).startHistoryWriter(connection)
      : undefined,
};

/**
 * Starts all of them, or none: what is left of a failure would keep the process alive.
 *
 * @param isAsked whether somebody named them: then each has to have something to do
 * @throws CONFIG_INVALID
 */
export async function startServices(names: string[], connection: Connection, isAsked = false): Promise<Service> {
  const starts = await Promise.allSettled(names.map((name) => start(name, connection, isAsked)));
  const close = async () => {
    await Promise.all(starts.map((start) => (start.status === 'fulfilled' ? start.value?.close() : undefined)));
  };
  const failed = starts.find((start) => start.status === 'rejected');
  if (!failed) return { close };
  await close();
  throw failed.reason;
}

async function start(name: string, connection: Connection, isAsked: boolean): Promise<Service | undefined> {
  const service = await services[name]!(connection);
  if (service || !isAsked) return service;
  throw new PatchlineError(
    'CONFIG_INVALID',
    `Expected settings under ${name} in the configuration: without them it has nothing to do`,
  );
}
