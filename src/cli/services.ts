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
  history: async (connection) =>
    connection.config.history.enabled
      ? (await import('../history/writer.js')).startHistoryWriter(connection)
      : undefined,
};

export async function startServices(names: string[], connection: Connection): Promise<Service> {
  const started = await Promise.all(names.map((name) => services[name]!(connection)));
  return {
    async close() {
      await Promise.all(started.map((service) => service?.close()));
    },
  };
}
