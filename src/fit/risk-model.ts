import { fitBoostedTrees, treeLogOdds } from '../shared/kernels/boosted-trees.js';
import { crossValidatedAuroc, type Learner, logisticLearner } from '../shared/kernels/cross-validation.js';
import { fitLogisticRegression } from '../shared/kernels/logistic-regression.js';
import { median } from '../shared/kernels/quantile.js';
import { createRandom } from '../shared/kernels/random.js';
import { featureNames } from '../shared/kernels/readable-features.js';
import type { RiskFunction } from '../shared/kernels/risk-function.js';
import { type DefectSamples, validationFolds } from './defect-samples.js';

export interface LearnedRisk {
  model: RiskFunction;
  /** How both kinds of model do on images that they have not seen. */
  comparison: RiskComparison;
  /** (5) medians of good images */
  usual: number[];
  /** (B, 5) good images that risks are explained against */
  background: Float64Array;
}

/** Over several divisions of the images into folds, the same for both: mean and standard deviation of the held-out AUROC. */
export interface RiskComparison {
  divisions: number;
  logistic: HeldOutAuroc;
  forest: HeldOutAuroc;
}

export interface HeldOutAuroc {
  auroc: number;
  spread: number;
}

/** Mean and largest patch distance go together: with a smaller ridge they pull against each other. */
const ridge = 0.01;
const backgroundImages = 100;
const divisions = 10;

type Rows = Pick<DefectSamples, 'features' | 'labels' | 'groups'>;

/**
 * The risk of a defect by the readable features. Good images must have been measured by banks that have not seen them: their
 * distances to a bank of their own patches are next to 0, and every new good part would look risky.
 *
 * It is a logistic regression, unless boosted trees tell held-out images apart better by more than the spread of the
 * regression's AUROC: what depends on several features together is worth its longer explanation, chance is not.
 */
export function learnRisk(rows: Rows, seed: number): LearnedRisk {
  const { features, labels } = rows;
  const D = featureNames.length;
  const good = [...labels.keys()].filter((index) => labels[index] === 0);
  const chosen = [...createRandom(seed).permutation(good.length).subarray(0, backgroundImages)].sort((a, b) => a - b);
  const comparison = compareKinds(rows, seed);
  return {
    model: isForestBetter(comparison)
      ? { kind: 'forest', ...fitBoostedTrees(features, labels) }
      : { kind: 'logistic', ...fitLogisticRegression(features, labels, { ridge }) },
    comparison,
    usual: featureNames.map((_, j) => median(good.map((index) => features[index * D + j]!))),
    background: Float64Array.from(
      chosen.flatMap((place) => [...features.subarray(good[place]! * D, good[place]! * D + D)]),
    ),
  };
}

const isForestBetter = ({ logistic, forest }: RiskComparison): boolean =>
  forest.auroc - logistic.auroc > logistic.spread;

const forestLearner: Learner = (rows, labels) => {
  const trees = fitBoostedTrees(rows, labels);
  return (others) => treeLogOdds(trees, others, featureNames.length);
};

function compareKinds({ features, labels, groups }: Rows, seed: number): RiskComparison {
  const validate = (learn: Learner): HeldOutAuroc => {
    const areas = Array.from({ length: divisions }, (_, division) =>
      crossValidatedAuroc(features, labels, { folds: validationFolds, seed: seed + division, groups, learn }),
    );
    const auroc = areas.reduce((sum, area) => sum + area, 0) / divisions;
    const squares = areas.reduce((sum, area) => sum + (area - auroc) ** 2, 0);
    return { auroc, spread: Math.sqrt(squares / (divisions - 1)) };
  };
  return { divisions, logistic: validate(logisticLearner({ ridge })), forest: validate(forestLearner) };
}
