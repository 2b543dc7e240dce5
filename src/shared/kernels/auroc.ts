import type { Numbers } from './quantile.js';
import { sortByLabel } from './sorted-scores.js';

/**
 * Area under the ROC curve of raw scores: the chance that an anomalous one scores higher than a normal one, ties counted one
 * half (Mann and Whitney 1947). Scores may be of any scale and sign, and tens of millions of pixels.
 *
 * @param labels 0 for normal, anything else for anomalous
 * @returns null where one of the classes is missing
 * @throws SHAPE_MISMATCH
 */
export function auroc(scores: Numbers, labels: ArrayLike<number | bigint>): number | null {
  const { normal, anomalous } = sortByLabel(scores, labels);
  if (normal.length === 0 || anomalous.length === 0) return null;
  let pairs = 0;
  let below = 0;
  let upTo = 0;
  for (let a = 0; a < anomalous.length; a++) {
    const score = anomalous[a]!;
    while (below < normal.length && normal[below]! < score) below++;
    while (upTo < normal.length && normal[upTo]! <= score) upTo++;
    pairs += (below + upTo) / 2;
  }
  return pairs / normal.length / anomalous.length;
}
