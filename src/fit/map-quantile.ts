import { createMapUpsampler } from '../shared/kernels/anomaly-map.js';
import { inspectedPart, type ModelInput } from '../shared/model-input.js';
import { mapValues, type PositionStatistics, type ScoreName } from '../shared/patchcore/image-score.js';
import type { Size } from '../shared/patchcore/patch-vectors.js';

const mapQuantile = 0.999;

/**
 * The 99.9 % quantile of the anomaly maps of held-out images, where they are inspected.
 *
 * @param distances (N, P)
 */
export function mapQuantileOf(
  distances: Float32Array,
  score: ScoreName,
  position: PositionStatistics,
  { input, grid, mapSigma }: { input: ModelInput; grid: Size; mapSigma: number },
): number {
  const P = grid.height * grid.width;
  const upsample = createMapUpsampler(grid.height, grid.width, input.height, input.width, mapSigma);
  const mask = inspectedPart(input)?.mask;
  const pixels = mask ? mask.reduce((sum, value) => sum + value, 0) : input.height * input.width;
  const values = createUpperQuantile((distances.length / P) * pixels, mapQuantile);
  for (let from = 0; from < distances.length; from += P) {
    const map = upsample(mapValues(distances.subarray(from, from + P), score, position));
    values.add(mask ? map.filter((_, i) => mask[i]) : map);
  }
  return values.quantile();
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
