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
};

/** Where one of them cannot start, those that did are closed: nothing is left to keep the process alive. */
export async function startServices(names: string[], connection: Connection): Promise<Service> {
  const started = await Promise.allSettled(names.map((name) => services[name]!(connection)));
  const service = {
    async close() {
      await Promise.all(started.map((each) => (each.status === 'fulfilled' ? each.value?.close() : undefined)));
    },
  };
  const failure = started.find((each) => each.status === 'rejected');
  if (!failure) return service;
  await service.close();
  throw failure.reason;
}
