import { type Compute, threadTask } from '../shared/compute.js';
import type { ExplainingData, FeaturesResult } from '../shared/contracts.js';
import type { ObjectStore } from '../shared/store/object-store.js';
import type { FeaturesInput, FeaturesOutput } from './features-thread.js';
import { owned, readWork } from './read-work.js';

export interface FeaturesContext {
  store: ObjectStore;
  compute: Compute;
}

const featuresTask = threadTask<FeaturesInput, FeaturesOutput>(new URL('./features-thread.js', import.meta.url));

/** Extracts the readable features from what score stored. */
export async function features(data: ExplainingData, { store, compute }: FeaturesContext): Promise<FeaturesResult> {
  return await extractFeatures(await readWork(store, data), data.patchDistance, compute);
}

/** @param work the work object, .npz; it moves to a thread and is empty afterwards @param patchDistance over the whole image, as score found it */
export async function extractFeatures(
  work: Uint8Array,
  patchDistance: ExplainingData['patchDistance'],
  compute: Compute,
): Promise<FeaturesResult> {
  return { values: [...(await compute.run(featuresTask, { work, patchDistance }, owned(work)))] };
}
