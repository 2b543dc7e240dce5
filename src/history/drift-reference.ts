import type { Bundle } from '../shared/bundle.js';
import { readParts } from '../shared/bundle-parts.js';
import { featureNames } from '../shared/kernels/readable-features.js';
import { severityOf } from '../shared/kernels/severity.js';
import type { ObjectStore } from '../shared/store/object-store.js';
import type { DriftValues } from './drift.js';

/**
 * What days are compared with: the good images that a bundle learned from, as models saw them that had not.
 *
 * @param heldOut (N) scores of the training images, in their order
 * @throws BUNDLE_DAMAGED
 */
export async function driftReference(
  store: ObjectStore,
  bundle: Bundle,
  heldOut: readonly number[],
): Promise<DriftValues> {
  const { median, threshold } = bundle;
  const severities = heldOut.map((score) => severityOf(score, median, threshold));
  const isPassed = heldOut.map((score) => score < threshold);
  const features = await goodFeatures(store, bundle);
  return {
    anomaly_score: [...heldOut],
    severity: severities,
    severity_of_good: severities.filter((_, image) => isPassed[image]),
    ...Object.fromEntries(featureNames.map((name, j) => [name, features(j).filter((_, image) => isPassed[image])])),
  } as DriftValues;
}

/** The values (N) of each feature; none in bundles of earlier releases, which do not keep them. */
async function goodFeatures(store: ObjectStore, { images, classifier, sampleParts }: Bundle) {
  if (!sampleParts) return () => [];
  const D = featureNames.length;
  const { data } = (
    await readParts(
      store,
      { 'sample-features': sampleParts['sample-features'] },
      { 'sample-features': ['float64', images + classifier.count, D] },
    )
  )['sample-features'];
  return (feature: number) => Array.from({ length: images }, (_, image) => Number(data[image * D + feature]));
}
