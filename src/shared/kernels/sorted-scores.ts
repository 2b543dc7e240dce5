import { PatchlineError } from '../errors.js';
import type { Numbers } from './quantile.js';
import { expectShape } from './shape.js';
import { sortFloats } from './sort-floats.js';

export interface SortedScores {
  /** Ascending, in the type of the scores. */
  normal: Float32Array | Float64Array;
  anomalous: Float32Array | Float64Array;
}

/**
 * The scores of normal (label 0) and of anomalous images or pixels, each sorted: two sorts of plain numbers, since
 * sorting pairs of score and label takes minutes for tens of millions of pixels.
 *
 * Error: SHAPE_MISMATCH where there is not one label to a score, or a score is NaN.
 */
export function sortByLabel(scores: Numbers, labels: ArrayLike<number | bigint>): SortedScores {
  expectShape('labels', labels, { scores: scores.length });
  const List = scores instanceof Float32Array ? Float32Array : Float64Array;
  let anomalies = 0;
  for (let i = 0; i < labels.length; i++) if (Number(labels[i]) !== 0) anomalies++;
  const normal = new List(scores.length - anomalies);
  const anomalous = new List(anomalies);
  let [n, a] = [0, 0];
  for (let i = 0; i < scores.length; i++) {
    if (Number.isNaN(scores[i])) {
      throw new PatchlineError(
        'SHAPE_MISMATCH',
        `Expected numbers for scores but received NaN at ${i} of ${scores.length}`,
      );
    }
    if (Number(labels[i]) === 0) normal[n++] = scores[i]!;
    else anomalous[a++] = scores[i]!;
  }
  return { normal: sorted(normal), anomalous: sorted(anomalous) };
}

const sorted = <T extends Float32Array | Float64Array>(values: T) =>
  values instanceof Float32Array ? sortFloats(values) : values.sort();
