import type { Numbers } from './quantile.js';
import { sortByLabel } from './sorted-scores.js';

/** Point by point, from (0, 0) to (1, 1). */
export interface RocCurve {
  falsePositiveRates: Float64Array;
  truePositiveRates: Float64Array;
}

/**
 * The receiver operating characteristic: one point for each different score, from the largest down, at which everything >= it
 * counts as anomalous, after a first point at (0, 0). Scores that are tied share a point.
 *
 * @param labels 0 for normal, anything else for anomalous
 * @returns null where one of the classes is missing
 * @throws SHAPE_MISMATCH
 */
export function rocCurve(scores: Numbers, labels: ArrayLike<number | bigint>): RocCurve | null {
  const { normal, anomalous } = sortByLabel(scores, labels);
  if (normal.length === 0 || anomalous.length === 0) return null;
  const [falsePositiveRates, truePositiveRates] = [[0], [0]];
  let [n, a] = [normal.length, anomalous.length];
  while (n > 0 || a > 0) {
    const threshold = Math.max(normal[n - 1] ?? -Infinity, anomalous[a - 1] ?? -Infinity);
    while (n > 0 && normal[n - 1] === threshold) n--;
    while (a > 0 && anomalous[a - 1] === threshold) a--;
    falsePositiveRates.push(1 - n / normal.length);
    truePositiveRates.push(1 - a / anomalous.length);
  }
  return {
    falsePositiveRates: Float64Array.from(falsePositiveRates),
    truePositiveRates: Float64Array.from(truePositiveRates),
  };
}
