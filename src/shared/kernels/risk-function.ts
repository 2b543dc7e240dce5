import { type BoostedTrees, treeLogOdds } from './boosted-trees.js';
import { type LogisticRegression, logOdds, sigmoid } from './logistic-regression.js';
import { featureNames } from './readable-features.js';

/** What gives the risk of a defect by the readable features. */
export type RiskFunction = ({ kind: 'logistic' } & LogisticRegression) | ({ kind: 'forest' } & BoostedTrees);

/**
 * The log odds of a defect where both classes are equally frequent.
 *
 * @param rows (n, 5), in the order of `featureNames` @returns (n)
 * @throws SHAPE_MISMATCH
 */
export function riskLogOdds(risk: RiskFunction, rows: Float32Array | Float64Array): Float64Array<ArrayBuffer> {
  return risk.kind === 'forest' ? treeLogOdds(risk, rows, featureNames.length) : logOdds(risk, rows);
}

/** The same as probabilities. */
export const riskProbability = (risk: RiskFunction, rows: Float32Array | Float64Array): Float64Array<ArrayBuffer> =>
  riskLogOdds(risk, rows).map(sigmoid);
