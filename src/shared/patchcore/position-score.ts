import { maxScore, meanOfLargest } from '../kernels/image-score.js';
import { mean } from '../kernels/quantile.js';

export interface PositionScoring {
  /** (P) */
  positionMeans: Float32Array;
  /** (P) */
  positionScales: Float32Array;
  topFraction: number;
}

/**
 * The anomaly score of an image: z_p = (D_p - m_p) / e_p says how unusual a patch distance is at its position; the score is the
 * mean of the max(1, round(topFraction · P)) largest.
 *
 * @param distances (P)
 */
export function positionScore(
  distances: Float32Array,
  { positionMeans, positionScales, topFraction }: PositionScoring,
) {
  const z = Float64Array.from(
    distances,
    (distance, patch) => (distance - positionMeans[patch]!) / positionScales[patch]!,
  );
  return meanOfLargest(z, Math.max(1, Math.round(topFraction * z.length)));
}

/** What the readable features take from an image's patch distances (P). */
export function patchDistanceOf(distances: Float32Array): { mean: number; max: number } {
  return { mean: mean(distances), max: maxScore(distances).score };
}
