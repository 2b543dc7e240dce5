import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fitBundle } from '../../src/fit/fit.js';
import { directoryImages } from '../../src/fit/training-images.js';
import { writeSimulatedDataset } from '../../src/producer/simulated-camera.js';
import { createCompute } from '../../src/shared/compute.js';
import { createLogger } from '../../src/shared/logger.js';
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
  await writeSimulatedDataset(images, { seed: 3, train: 20, good, perDefect });
  const url = storeUrl ?? join(root, 'store');
  const compute = createCompute({ threads: 2 });
  await fitBundle({
    images: await directoryImages(images),
    product: 'plate',
    seed: 0,
    network: 'int8',
    activate: true,
    store: await openStore(url),
    compute,
    maxImageBytes: 50e6,
    logger: createLogger('silent'),
  });
  await compute.close();
  return { storeUrl: url, images, remove: () => rm(root, { recursive: true, force: true }) };
}
