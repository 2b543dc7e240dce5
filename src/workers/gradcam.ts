import type { Compute } from '../shared/compute.js';
import { threadTask } from '../shared/compute.js';
import type { ExplainingData, GradcamResult } from '../shared/contracts.js';
import { gradcamKey } from '../shared/keys.js';
import type { LoadedBundle } from '../shared/loaded-bundle.js';
import type { ObjectStore } from '../shared/store/object-store.js';
import type { GradcamInput, GradcamOutput } from './gradcam-thread.js';
import { readWork } from './read-work.js';

export interface GradcamContext {
  store: ObjectStore;
  compute: Compute;
  loadBundle(product: string, version: string): Promise<LoadedBundle>;
}

const gradcamTask = threadTask<GradcamInput, GradcamOutput>(new URL('./gradcam-thread.js', import.meta.url));

/** Shows which places speak for a defect: Grad-CAM++ of the classifier's defect score, from the features that score stored. */
export async function gradcam(data: ExplainingData, { store, compute, loadBundle }: GradcamContext): Promise<GradcamResult> {
  const { classifier } = await loadBundle(data.product, data.bundle);
  const { map, probability } = await compute.run(gradcamTask, { work: await readWork(store, data), classifier });
  const key = gradcamKey(data.inspectionId);
  await store.put(key, map);
  const label = probability >= 0.5 ? 'defect' : 'good';
  return { key, classifier: { label, probability, weak: classifier.weak } };
}
