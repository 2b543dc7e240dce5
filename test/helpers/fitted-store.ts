import { existsSync } from 'node:fs';
import { mkdtemp, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inject } from 'vitest';
import { fitBundle } from '../../src/fit/fit.js';
import { directoryImages } from '../../src/fit/training-images.js';
import { writeSimulatedDataset } from '../../src/producer/simulated-camera.js';
import { createCompute } from '../../src/shared/compute.js';
import { createLogger } from '../../src/shared/logger.js';
import { listAll, type ObjectStore } from '../../src/shared/store/object-store.js';
import { openStore } from '../../src/shared/store/open-store.js';

export interface FittedStore {
  /** A directory, or s3:// where `storeUrl` was given. */
  storeUrl: string;
  /** MVTec layout. */
  images: string;
  remove(): Promise<void>;
}

/** A store with a bundle `v1` of the product `plate`, fitted on few simulated plates, and labelled plates to inspect. */
export async function createFittedStore(good: number, perDefect: number, storeUrl?: string): Promise<FittedStore> {
  const root = await mkdtemp(join(tmpdir(), 'patchline-fitted-'));
  const images = join(root, 'images');
  await writeSimulatedDataset(images, { ...training, good, perDefect });
  const url = storeUrl ?? join(root, 'store');
  await copyObjects(await openStore(await fitOnce(images)), await openStore(url), 'bundles/');
  return { storeUrl: url, images, remove: () => rm(root, { recursive: true, force: true }) };
}

/** The same for every fitted store of a run. */
const training = { seed: 3, train: 20 };

/** A directory store with the bundle: the first of a run to need it fits it, which takes some seconds. */
async function fitOnce(images: string): Promise<string> {
  const fitted = join(inject('sharedDirectory'), 'fitted');
  if (existsSync(fitted)) return fitted;
  const own = await mkdtemp(`${fitted}-`);
  const compute = createCompute({ threads: 2 });
  await fitBundle({
    images: await directoryImages(images),
    product: 'plate',
    seed: 0,
    network: 'int8',
    activate: true,
    store: await openStore(own),
    compute,
    maxImageBytes: 50e6,
    logger: createLogger('silent'),
  });
  await compute.close();
  await rename(own, fitted).catch(() => undefined); // refused where another came first: its bundle is the same
  return fitted;
}

export async function copyObjects(from: ObjectStore, to: ObjectStore, prefix: string): Promise<void> {
  for await (const { key } of listAll(from, prefix)) await to.put(key, await from.get(key));
}
