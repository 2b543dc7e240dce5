import { createMapUpsampler } from '../shared/kernels/anomaly-map.js';
import { median as medianOf, quantile } from '../shared/kernels/quantile.js';
import { positionScore } from '../shared/patchcore/position-score.js';
import type { Size } from '../shared/patchcore/score-graph.js';
import type { PositionStatistics } from './position-statistics.js';

export interface Calibration {
  median: number;
  spread: number;
  threshold: number;
  mapQuantile: number;
}

export interface CalibrationSettings {
  thresholdFactor: number;
  topFraction: number;
  mapSigma: number;
}

const smallestSpread = 1e-9;
/** What lies one standard deviation above the median of a normal distribution. */
const spreadQuantile = 0.8413;
const mapQuantile = 0.999;

/**
 * The scales that scores and maps are judged by, from images that their bank has not seen: threshold = median + factor · spread,
 * spread = 84.13 % quantile less the median. Few odd images among the good ones do not move these, as they would a high quantile.
 *
 * @param heldOut (N, P) distances
 */
export function calibrate(
  heldOut: Float32Array,
  statistics: PositionStatistics,
  input: Size,
  grid: Size,
  { thresholdFactor, topFraction, mapSigma }: CalibrationSettings,
): Calibration {
  const patches = grid.height * grid.width;
  const images = heldOut.length / patches;
  const scoring = { positionMeans: statistics.means, positionScales: statistics.scales, topFraction };
  const upsample = createMapUpsampler(grid.height, grid.width, input.height, input.width, mapSigma);
  const mapValues = createUpperQuantile(images * input.height * input.width, mapQuantile);
  const scores = Float64Array.from({ length: images }, (_, image) => {
    const distances = heldOut.subarray(image * patches, (image + 1) * patches);
    mapValues.add(upsample(distances.map((distance, patch) => distance - statistics.means[patch]!)));
    return positionScore(distances, scoring);
  });
  const median = medianOf(scores);
  const spread = Math.max(quantile(scores, spreadQuantile) - median, smallestSpread);
  return { median, spread, threshold: median + thresholdFactor * spread, mapQuantile: mapValues.quantile() };
}

/**
 * The q-quantile of `count` values that are given a few at a time: only the largest are kept, since the maps of all training
 * images together would not fit into memory.
 */
export function createUpperQuantile(count: number, q: number) {
  const position = q * (count - 1);
  const keep = count - Math.floor(position);
  let kept = new Float32Array(0);
  let least = Number.NEGATIVE_INFINITY;
  return {
    add(values: Float32Array): void {
      const candidates = values.filter((value) => value > least || kept.length < keep);
      if (candidates.length === 0) return;
      const merged = new Float32Array(kept.length + candidates.length);
      merged.set(kept);
      merged.set(candidates, kept.length);
      kept = merged.sort().slice(-keep);
      if (kept.length === keep) least = kept[0]!;
    },
    /** Interpolated linearly, as `quantile` does. */
    quantile(): number {
      const [lower, upper] = [kept[0]!, kept[Math.min(1, keep - 1)]!];
      return lower + (position - Math.floor(position)) * (upper - lower);
    },
  };
}
