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
  async serve(connection) {
    const { port, ...address } = connection.config.serve;
    if (port === null) return undefined;
    const { startHttpServer } = await import('../producer/http/server.js');
    const server = await startHttpServer(connection, { ...address, port });
    remark(`serving ${server.url}`);
    return server;
  },
};

/** Starts all of them, or none. */
export async function startServices(names: string[], connection: Connection): Promise<Service> {
  const starts = await Promise.allSettled(names.map((name) => services[name]!(connection)));
  const close = async () => {
    await Promise.all(starts.map((start) => (start.status === 'fulfilled' ? start.value?.close() : undefined)));
  };
  const failed = starts.find((start) => start.status === 'rejected');
  if (!failed) return { close };
  await close();
  throw failed.reason;
}
