import type { Compute } from '../shared/compute.js';
import { threadTask } from '../shared/compute.js';
import type { ExplainingData, FeaturesResult } from '../shared/contracts.js';
import type { ObjectStore } from '../shared/store/object-store.js';
import type { FeaturesInput, FeaturesOutput } from './features-thread.js';
import { readWork } from './read-work.js';

export interface FeaturesContext {
  store: ObjectStore;
  compute: Compute;
}

const featuresTask = threadTask<FeaturesInput, FeaturesOutput>(new URL('./features-thread.js', import.meta.url));

/** Extracts the readable features from the pixels that score stored. */
export async function features(data: ExplainingData, { store, compute }: FeaturesContext): Promise<FeaturesResult> {
  const { mean, max } = data.patchDistance;
  const values = await compute.run(featuresTask, { work: await readWork(store, data), mean, max });
  return { values: [...values] };
}
