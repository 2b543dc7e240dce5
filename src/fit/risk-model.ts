import { crossValidatedAuroc } from '../shared/kernels/cross-validation.js';
import { fitLogisticRegression, type LogisticRegression } from '../shared/kernels/logistic-regression.js';
import { median } from '../shared/kernels/quantile.js';
import { createRandom } from '../shared/kernels/random.js';
import { featureNames } from '../shared/kernels/readable-features.js';
import { type DefectSamples, validationFolds } from './defect-samples.js';

export interface LearnedRisk {
  model: LogisticRegression;
  /** Held-out. */
  auroc: number;
  /** (5) medians of good images */
  usual: number[];
  /** (B, 5) good images that risks are explained against */
  background: Float64Array;
}

/** Mean and largest patch distance go together: with a smaller ridge they pull against each other. */
const ridge = 0.01;
const backgroundImages = 100;

/**
 * The risk of a defect by the readable features. Good images must have been measured by banks that have not seen them: their
 * distances to a bank of their own patches are next to 0, and every new good part would look risky.
 */
export function learnRisk(
  { features, labels, groups }: Pick<DefectSamples, 'features' | 'labels' | 'groups'>,
  seed: number,
): LearnedRisk {
  const D = featureNames.length;
  const good = [...labels.keys()].filter((index) => labels[index] === 0);
  const chosen = [...createRandom(seed).permutation(good.length).subarray(0, backgroundImages)].sort((a, b) => a - b);
  return {
    model: fitLogisticRegression(features, labels, { ridge }),
    auroc: crossValidatedAuroc(features, labels, { folds: validationFolds, seed, groups, ridge }),
    usual: featureNames.map((_, j) => median(good.map((index) => features[index * D + j]!))),
    background: Float64Array.from(
      chosen.flatMap((place) => [...features.subarray(good[place]! * D, good[place]! * D + D)]),
    ),
  };
}
