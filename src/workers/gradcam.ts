import type { Compute } from '../shared/compute.js';
import { threadTask } from '../shared/compute.js';
import type { ExplainingData, GradcamResult } from '../shared/contracts.js';
import { gradcamKey } from '../shared/keys.js';
import type { LoadedBundle } from '../shared/loaded-bundle.js';
import type { ObjectStore } from '../shared/store/object-store.js';
import type { UserClassifier } from '../shared/user-classifier.js';
import type { GradcamInput, GradcamOutput } from './gradcam-thread.js';
import type { OwnClassifierInput, OwnClassifierOutput } from './own-classifier-thread.js';
import { readWork } from './read-work.js';

export interface GradcamContext {
  store: ObjectStore;
  compute: Compute;
  /** Products that have a classifier of their own: `loadClassifiers`. */
  classifiers: ReadonlyMap<string, UserClassifier>;
  maxLoadedBundles: number;
  loadBundle(product: string, version: string): Promise<LoadedBundle>;
}

const gradcamTask = threadTask<GradcamInput, GradcamOutput>(new URL('./gradcam-thread.js', import.meta.url));
const ownClassifierTask = threadTask<OwnClassifierInput, OwnClassifierOutput>(
  new URL('./own-classifier-thread.js', import.meta.url),
);

/** Shows which places speak for a defect: Grad-CAM++ of the defect score of the product's own classifier, else the bundle's. */
export async function gradcam(data: ExplainingData, context: GradcamContext): Promise<GradcamResult> {
  const work = await readWork(context.store, data);
  const { map, ...classifier } = await classify(work, data, context);
  const key = gradcamKey(data.inspectionId);
  await context.store.put(key, map);
  return { key, classifier };
}

async function classify(work: Uint8Array, { product, bundle }: ExplainingData, context: GradcamContext) {
  const { compute, classifiers, maxLoadedBundles, loadBundle } = context;
  const own = classifiers.get(product);
  if (own) {
    const output = await compute.run(ownClassifierTask, { work, classifier: own, maxLoadedBundles });
    return { ...output, weak: false }; // how well it tells images apart is its owner's knowledge
  }
  const { classifier } = await loadBundle(product, bundle);
  const { map, probability } = await compute.run(gradcamTask, { work, classifier });
  return { map, label: probability >= 0.5 ? 'defect' : 'good', probability, weak: classifier.weak };
}
