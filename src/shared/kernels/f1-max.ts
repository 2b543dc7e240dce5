import type { Numbers } from './quantile.js';
import { sortByLabel } from './sorted-scores.js';

export interface F1Max {
  f1: number;
  /** The lowest score that reaches it when everything >= it counts as anomalous. */
  threshold: number;
}

/**
 * The largest F1 = 2 TP / (2 TP + FP + FN) over all thresholds. Without anomalous scores F1 is 0 and the threshold the largest
 * score; without normal ones F1 is 1 and the threshold the smallest.
 *
 * @param labels 0 for normal, anything else for anomalous
 * @returns null where there are no scores
 * @throws SHAPE_MISMATCH
 */
export function f1Max(scores: Numbers, labels: ArrayLike<number | bigint>): F1Max | null {
  if (scores.length === 0) return null;
  const { normal, anomalous } = sortByLabel(scores, labels);
  let n = normal.length;
  let a = anomalous.length;
  const best: F1Max = { f1: 0, threshold: Math.max(normal.at(-1) ?? -Infinity, anomalous.at(-1) ?? -Infinity) };
  if (a === 0) return best;
  // From the largest score down: n and a are the first normal and the first anomalous one at or above the threshold.
  while (n > 0 || a > 0) {
    const threshold = Math.max(normal[n - 1] ?? -Infinity, anomalous[a - 1] ?? -Infinity);
    while (n > 0 && normal[n - 1] === threshold) n--;
    while (a > 0 && anomalous[a - 1] === threshold) a--;
    const found = anomalous.length - a;
    const flagged = found + normal.length - n;
    const f1 = (2 * found) / (flagged + anomalous.length);
    if (f1 >= best.f1) {
      best.f1 = f1;
      best.threshold = threshold;
    }
  }
  return best;
}
