import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

export interface CuttingProxy {
  url: string;
  /** How many connections it has cut. */
  cuts(): number;
  close(): Promise<void>;
}

/** A proxy before Redis that passes the first EXEC on and cuts that connection before the answer comes back. */
export async function cutAfterExec(redisUrl: string): Promise<CuttingProxy> {
  const { hostname, port } = new URL(redisUrl);
  const sockets = new Set<Socket>();
  let cuts = 0;
  const server = createServer((client) => {
    const redis = connect(Number(port), hostname);
    let cutting = false;
    for (const socket of [client, redis]) {
      sockets.add(socket);
      socket.on('error', () => socket.destroy()).on('close', () => sockets.delete(socket));
    }
    client.on('data', (bytes) => {
      if (cuts === 0 && /\r\nexec\r\n/i.test(bytes.toString('latin1'))) {
        cuts++;
        cutting = true;
      }
      redis.write(bytes);
    });
    redis.on('data', (bytes) => {
      if (!cutting) client.write(bytes);
      else for (const socket of [client, redis]) socket.destroy(); // Redis has done the work: only its answer is lost
    });
    client.on('end', () => redis.end());
    redis.on('end', () => client.end());
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `redis://127.0.0.1:${(server.address() as AddressInfo).port}`,
    cuts: () => cuts,
    async close() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}
