import { type Compute, threadTask } from '../shared/compute.js';
import type { Classification, ExplainingData, GradcamResult } from '../shared/contracts.js';
import { gradcamKey } from '../shared/keys.js';
import type { ClassifierHead, LoadedBundle } from '../shared/loaded-bundle.js';
import type { ObjectStore } from '../shared/store/object-store.js';
import type { GradcamInput, GradcamOutput } from './gradcam-thread.js';
import type { OwnClassifierInput, OwnClassifierOutput } from './own-classifier-thread.js';
import { owned, readWork } from './read-work.js';
import type { UserClassifier } from './user-classifier.js';

/** What runs the classifiers. */
export interface ClassifierContext {
  compute: Compute;
  /** Products that have a classifier of their own: `loadClassifiers`. */
  classifiers: ReadonlyMap<string, UserClassifier>;
  maxLoadedBundles: number;
}

export interface GradcamContext extends ClassifierContext {
  store: ObjectStore;
  loadBundle(product: string, version: string): Promise<LoadedBundle>;
}

const gradcamTask = threadTask<GradcamInput, GradcamOutput>(new URL('./gradcam-thread.js', import.meta.url));
const ownClassifierTask = threadTask<OwnClassifierInput, OwnClassifierOutput>(
  new URL('./own-classifier-thread.js', import.meta.url),
);

/** Shows which places speak for a defect. */
export async function gradcam(data: ExplainingData, context: GradcamContext): Promise<GradcamResult> {
  const loadHead = async () => (await context.loadBundle(data.product, data.bundle)).classifier;
  const { map, classifier } = await drawGradcam(await readWork(context.store, data), data.product, loadHead, context);
  const key = gradcamKey(data.inspectionId);
  await context.store.put(key, map);
  return { key, classifier };
}

/**
 * Grad-CAM++ of the defect score of the product's own classifier, else of the bundle's, at the last convolution.
 *
 * @param work the work object, .npz; it moves to a thread and is empty afterwards
 * @param loadHead the bundle's classifier, asked for where the product has none of its own
 * @returns map: .npy, float32 (h, w), signed
 */
export async function drawGradcam(
  work: Uint8Array,
  product: string,
  loadHead: () => Promise<ClassifierHead>,
  { compute, classifiers, maxLoadedBundles }: ClassifierContext,
): Promise<{ map: Uint8Array; classifier: Classification }> {
  const own = classifiers.get(product);
  if (!own) return await drawByHead(work, await loadHead(), compute);
  const { map, ...output } = await compute.run(
    ownClassifierTask,
    { work, classifier: own, maxLoadedBundles },
    owned(work),
  );
  return { map, classifier: { ...output, weak: false } }; // how well it tells images apart is its owner's knowledge
}

async function drawByHead(work: Uint8Array, head: ClassifierHead, compute: Compute) {
  const { map, probability } = await compute.run(gradcamTask, { work, classifier: head }, owned(work));
  return { map, classifier: { label: probability >= 0.5 ? 'defect' : 'good', probability, weak: head.weak } };
}
