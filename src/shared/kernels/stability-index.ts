import { type Numbers, quantile } from './quantile.js';
import { expectShape } from './shape.js';

/** Bins (B) that hold about as many reference values each; fewer than asked for where values are tied. */
export interface ReferenceBins {
  /** (B - 1), ascending: bin b holds what lies above edges[b - 1], up to edges[b] itself. */
  edges: Float64Array;
  /** (B) reference values in each bin. */
  counts: Float64Array;
}

/** @throws SHAPE_MISMATCH for no values */
export function quantileBins(reference: Numbers, bins: number): ReferenceBins {
  const sorted = Float64Array.from(reference).sort();
  const largest = sorted.at(-1)!;
  const cuts = Array.from({ length: bins - 1 }, (_, i) => quantile(sorted, (i + 1) / bins));
  // A cut at the largest value would leave a bin above it that no reference value is in.
  const edges = Float64Array.from(new Set(cuts.filter((cut) => cut < largest)));
  return { edges, counts: countInBins(sorted, edges) };
}

/** @returns (B) how many of the values lie in each bin */
export function countInBins(values: Numbers, edges: Float64Array): Float64Array {
  const counts = new Float64Array(edges.length + 1);
  for (let i = 0; i < values.length; i++) {
    let bin = 0;
    while (bin < edges.length && values[i]! > edges[bin]!) bin++;
    counts[bin]!++;
  }
  return counts;
}

/** Added to each count, so that an empty bin has a finite share. */
const smoothing = 0.5;

/**
 * The population stability index Σ (p - q) ln(p / q) over the shares p and q of B bins: 0 where they are alike. It is the symmetric
 * Kullback-Leibler divergence (Jeffreys, 1946), as credit scoring uses it (Siddiqi, Credit Risk Scorecards, 2006).
 *
 * @param counts (B) @param reference (B) @throws SHAPE_MISMATCH
 */
export function stabilityIndex(counts: Float64Array, reference: Float64Array): number {
  expectShape('counts', counts, { B: reference.length });
  const B = counts.length;
  const n = sum(counts) + smoothing * B;
  const m = sum(reference) + smoothing * B;
  let index = 0;
  for (let b = 0; b < B; b++) {
    const p = (counts[b]! + smoothing) / n;
    const q = (reference[b]! + smoothing) / m;
    index += (p - q) * Math.log(p / q);
  }
  return index;
}

/**
 * What the index of n values against m others stays below where both come from one distribution: the index is then close to
 * (1/n + 1/m) χ² with B - 1 degrees of freedom (Yurdakul and Naranjo, Journal of Risk Model Validation 14 (2020) 89). The quantile
 * of χ² is that of Wilson and Hilferty (PNAS 17 (1931) 684), within 1 %.
 *
 * @param z quantile of the normal distribution: 2.326 for 99 of 100 comparisons
 */
export function indexByChance(bins: number, n: number, m: number, z: number): number {
  const freedom = bins - 1;
  if (freedom === 0) return 0;
  const spread = 2 / (9 * freedom);
  return freedom * (1 - spread + z * Math.sqrt(spread)) ** 3 * (1 / n + 1 / m);
}

/**
 * How likely one of the values lies above one of the reference, by their bins (B), half of the same bin: 0.5 where neither lies
 * higher (Mann and Whitney, Annals of Mathematical Statistics 18 (1947) 50).
 *
 * @throws SHAPE_MISMATCH
 */
export function probabilityAbove(counts: Float64Array, reference: Float64Array): number {
  expectShape('counts', counts, { B: reference.length });
  let [pairs, below] = [0, 0];
  for (let b = 0; b < counts.length; b++) {
    pairs += counts[b]! * (below + reference[b]! / 2);
    below += reference[b]!;
  }
  return pairs / (sum(counts) * below);
}

/** What `probabilityAbove` of n values and m others stays below where both come from one distribution, z as above. */
export const aboveByChance = (n: number, m: number, z: number): number => 0.5 + z * Math.sqrt((1 / n + 1 / m) / 12);

const sum = (values: Float64Array): number => values.reduce((total, value) => total + value, 0);
