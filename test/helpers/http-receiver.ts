import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';

export interface ReceivedRequest {
  headers: IncomingHttpHeaders;
  body: string;
}
export interface Answer {
  status: number;
  headers?: Record<string, string>;
  body?: string;
}

export interface HttpReceiver {
  url: string;
  requests: ReceivedRequest[];
  /** What it answers from now on; 204 at first. A promise holds the request. */
  answer: (request: ReceivedRequest) => Answer | Promise<Answer>;
  /** Refuses connections from now on, and cuts those that there are. */
  die(): Promise<void>;
  revive(): Promise<void>;
}

/** An endpoint that keeps what is posted to it. */
export async function startHttpReceiver(): Promise<HttpReceiver> {
  let server: Server;
  let port = 0;
  const receiver: HttpReceiver = {
    url: '',
    requests: [],
    answer: () => ({ status: 204 }),
    async die() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
    async revive() {
      server = createServer(async (incoming, response) => {
        const request = { headers: incoming.headers, body: await text(incoming) };
        receiver.requests.push(request);
        const { status, headers, body } = await receiver.answer(request);
        response.writeHead(status, headers).end(body);
      });
      server.listen(port, '127.0.0.1');
      await once(server, 'listening');
      port = (server.address() as AddressInfo).port;
      receiver.url = `http://127.0.0.1:${port}/events`;
    },
  };
  await receiver.revive();
  return receiver;
}
