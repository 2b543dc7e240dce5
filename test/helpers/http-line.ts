import { startHttpServer } from '../../src/producer/http/server.js';
import type { Config } from '../../src/shared/config.js';
import type { InspectionEvent } from '../../src/shared/contracts.js';
import { createLogger } from '../../src/shared/logger.js';
import { openStandInLine, type StandInLine } from './stand-in-line.js';

export interface HttpLine extends StandInLine {
  url: string;
  /** Sends an image of camera line-1; its first letter decides the verdict (g: good). */
  post(bytes: string | Uint8Array, query?: string, init?: RequestInit): Promise<{ status: number; body: Posted }>;
  get(path: string, headers?: Record<string, string>): Promise<Response>;
  closeServer(): Promise<void>;
}

export interface Posted extends Partial<InspectionEvent> {
  inspectionId: string;
  outcome?: string;
  error?: InspectionEvent['error'];
}

/** The HTTP API over a stand-in line whose workers the test starts. */
export async function openHttpLine(
  redisUrl: string,
  { token = null, limits = {} }: { token?: string | null; limits?: Partial<Config['limits']> } = {},
): Promise<HttpLine> {
  const line = await openStandInLine(redisUrl);
  const config = { ...line.producer.config, limits: { ...line.producer.config.limits, ...limits } };
  const producer = { ...line.producer, config };
  const logger = createLogger('silent');
  const server = await startHttpServer({ producer, logger }, { port: 0, host: '127.0.0.1', token });
  const headers: Record<string, string> = token === null ? {} : { authorization: `Bearer ${token}` };
  return {
    ...line,
    url: server.url,
    async post(bytes, query = '', init = {}) {
      const response = await fetch(`${server.url}/v1/images?camera=line-1${query}`, {
        method: 'POST',
        body: bytes as NonNullable<RequestInit['body']>,
        ...init,
        headers: { 'content-type': 'image/jpeg', ...headers, ...init.headers },
      });
      return { status: response.status, body: (await response.json()) as Posted };
    },
    get: (path, more = {}) => fetch(server.url + path, { headers: { ...headers, ...more } }),
    closeServer: () => server.close(),
    async close() {
      await server.close();
      await line.close();
    },
  };
}
