import { type Bundle, claimVersion, trainingPictureKey } from '../shared/bundle.js';
import { PatchlineError } from '../shared/errors.js';
import { scoreAt } from '../shared/kernels/severity.js';
import { loadBundle } from '../shared/loaded-bundle.js';
import { inspectedPart } from '../shared/model-input.js';
import type { ObjectStore } from '../shared/store/object-store.js';
import type { HeldOutScores, Rate } from '../shared/threshold-rule.js';
import { publishBundle } from './bundle-writer.js';
import { scoreHeldOut } from './held-out-scores.js';
import { findOddImages } from './odd-images.js';
import { countedRate, missesOf } from './threshold.js';

/** What a threshold does over images that the models had not seen. */
export interface ThresholdEffect {
  threshold: number;
  /** Good images flagged. */
  falseAlarms: Rate & { count: number; images: number };
  /** Labelled defects that pass, where there are any. */
  misses?: { count: number; images: number };
}

export interface ThresholdChange {
  bundle: Bundle;
  before: ThresholdEffect;
  after: ThresholdEffect;
}

/**
 * Writes a version whose threshold is a severity on the scale of `base`; it shares parts and training pictures with it.
 * Errors: BUNDLE_DAMAGED, those of the store.
 */
export async function changeThreshold(
  store: ObjectStore,
  base: Bundle,
  { severity, activate }: { severity: number; activate: boolean },
): Promise<ThresholdChange> {
  const heldOut = await heldOutScoresOf(store, base);
  const threshold = scoreAt(severity, base.median, base.threshold);
  const after = effectOf(heldOut, threshold);
  const { count: _, images: __, ...falseAlarms } = after.falseAlarms;
  const bundle: Bundle = {
    ...base,
    version: await claimVersion(store, base.product),
    createdAt: new Date().toISOString(),
    threshold,
    thresholdRule: { rule: 'by-hand', severity, base: base.version },
    heldOut,
    falseAlarms,
    oddImages: findOddImages(heldOut.good, { ...base, threshold }),
    warnings: base.warnings.filter(({ code }) => code !== 'FALSE_ALARMS_EXTRAPOLATED'),
  };
  await publishBundle(store, bundle, { activate, pictureOf: (image) => store.get(trainingPictureKey(base, image)) });
  return { bundle, before: effectOf(heldOut, base.threshold), after };
}

/** What a bundle was found to say of images that its models had not seen. Error: BUNDLE_DAMAGED. */
export const heldOutScoresOf = async (store: ObjectStore, bundle: Bundle): Promise<HeldOutScores> =>
  bundle.heldOut ?? { good: await recomputeScores(store, bundle) };

export function effectOf(heldOut: HeldOutScores, threshold: number): ThresholdEffect {
  const rate = countedRate(heldOut.good, threshold);
  const images = heldOut.good.length;
  const falseAlarms = { ...rate, count: Math.round(rate.rate * images), images };
  const misses = missesOf(heldOut, threshold);
  return {
    threshold,
    falseAlarms,
    ...(misses !== undefined && { misses: { count: misses, images: heldOut.defects!.length } }),
  };
}

/** The scores of the training images, from what earlier releases kept: how far their patches lay from banks without them. */
async function recomputeScores(store: ObjectStore, { product, version, score, settings, input }: Bundle) {
  if (score === 'reweighted') {
    throw new PatchlineError(
      'BUNDLE_DAMAGED',
      `Expected held-out scores in bundle ${version} of product ${product} but it has none, and the score reweighted does not follow from its parts: fit the product anew`,
    );
  }
  const { heldOutDistances, heldOutResiduals, scoring } = await loadBundle(store, product, version);
  const heldOut = {
    distances: heldOutDistances,
    position: scoring.position,
    reweightedScores: new Float64Array(0),
    ...(heldOutResiduals && { residuals: { distances: heldOutResiduals, position: scoring.fusion!.position } }),
  };
  const { topFraction } = settings;
  return [...scoreHeldOut(heldOut, { score, topFraction, part: inspectedPart(input) }).scores];
}
