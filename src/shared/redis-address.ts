import { randomUUID } from 'node:crypto';
import { link, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { PatchlineError } from './errors.js';
import { pingRedis } from './redis-ping.js';
import { directoryFault, hasCode, isMissing } from './store/directory-faults.js';

/** `<store>/redis.json`: where the Redis that `patchline up` runs for a directory store is found by the other commands. */
const addressSchema = z.object({ url: z.string(), pid: z.number().int().positive() });
export type RedisAddress = z.infer<typeof addressSchema>;

const pathOf = (directory: string): string => join(directory, 'redis.json');

/** The address of a server that lives and answers; undefined where there is none, or only what a crash left behind. */
export async function liveRedisOf(directory: string): Promise<RedisAddress | undefined> {
  const address = await readAddress(directory);
  if (!address || !isAlive(address.pid)) return undefined;
  return (await pingRedis(address.url, 1_000)) === undefined ? address : undefined;
}

/** Leaves the address of a new server. Throws STORE_IN_USE where another one answers. */
export async function claimAddress(directory: string, address: RedisAddress): Promise<void> {
  // Placed first: who removed before there is anything to remove could take away what another server has just placed.
  while (!(await place(directory, address, link))) {
    const left = await readAddress(directory);
    if (await liveRedisOf(directory)) throw storeInUse(directory, left?.pid);
    await removeAddress(directory, left);
  }
}

/** Leaves the address anew: the same server runs under another pid. */
export async function replaceAddress(directory: string, address: RedisAddress): Promise<void> {
  await place(directory, address, rename);
}

/** Removes the address, unless another server's stands there by now. `address` undefined: a file that names none. */
export async function removeAddress(directory: string, address: RedisAddress | undefined): Promise<void> {
  const left = await readAddress(directory);
  if (left?.url === address?.url && left?.pid === address?.pid) await rm(pathOf(directory), { force: true });
}

export function storeInUse(directory: string, pid: number | undefined): PatchlineError {
  return new PatchlineError(
    'STORE_IN_USE',
    `Expected no other \`patchline up\` on ${directory} but its Redis, process ${pid}, answers; stop it or choose another --store`,
    { details: { directory, pid } },
  );
}

async function readAddress(directory: string): Promise<RedisAddress | undefined> {
  try {
    return addressSchema.safeParse(JSON.parse(await readFile(pathOf(directory), 'utf8'))).data;
  } catch (error) {
    if (isMissing(error) || error instanceof SyntaxError) return undefined;
    throw directoryFault(directory, error);
  }
}

async function place(directory: string, address: RedisAddress, publish: typeof link): Promise<boolean> {
  const temporary = join(directory, `.redis-${randomUUID()}.tmp`);
  try {
    await mkdir(directory, { recursive: true });
    await writeFile(temporary, `${JSON.stringify(address)}\n`, { flush: true });
    await publish(temporary, pathOf(directory));
    return true;
  } catch (error) {
    if (hasCode(error, 'EEXIST')) return false;
    throw directoryFault(directory, error);
  } finally {
    await rm(temporary, { force: true });
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return hasCode(error, 'EPERM'); // lives, under another user
  }
}
