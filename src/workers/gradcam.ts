import { type Compute, threadTask } from '../shared/compute.js';
import type { Classification, ExplainingData, GradcamResult } from '../shared/contracts.js';
import { gradcamKey } from '../shared/keys.js';
import type { ClassifierHead, LoadedBundle } from '../shared/loaded-bundle.js';
import type { ObjectStore } from '../shared/store/object-store.js';
import type { GradcamInput, GradcamOutput } from './gradcam-thread.js';
import { readWork } from './read-work.js';

export interface GradcamContext {
  store: ObjectStore;
  compute: Compute;
  loadBundle(product: string, version: string): Promise<LoadedBundle>;
}

const gradcamTask = threadTask<GradcamInput, GradcamOutput>(new URL('./gradcam-thread.js', import.meta.url));

/** Shows which places speak for a defect, from the features that score stored. */
export async function gradcam(
  data: ExplainingData,
  { store, compute, loadBundle }: GradcamContext,
): Promise<GradcamResult> {
  const bundle = await loadBundle(data.product, data.bundle);
  const { map, classifier } = await drawGradcam(await readWork(store, data), bundle.classifier, compute);
  const key = gradcamKey(data.inspectionId);
  await store.put(key, map);
  return { key, classifier };
}

/**
 * Grad-CAM++ of the classifier's defect score at the last convolution, and what the classifier says.
 *
 * @param work the work object, .npz
 * @returns map: .npy, float32 (h, w), signed
 */
export async function drawGradcam(
  work: Uint8Array,
  classifier: ClassifierHead,
  compute: Compute,
): Promise<{ map: Uint8Array; classifier: Classification }> {
  const { map, probability } = await compute.run(gradcamTask, { work, classifier });
  const label = probability >= 0.5 ? 'defect' : 'good';
  return { map, classifier: { label, probability, weak: classifier.weak } };
}
