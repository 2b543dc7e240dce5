import { expectShape } from '../shared/kernels/shape.js';

// N maps of P pixels each, Q quantiles; what comes out is (Q, P).

/** The same N maps of P pixels, one after the other, as often as they are asked for. */
export type MapSource = () => AsyncIterable<Float32Array>;

export interface MapStack {
  maps: MapSource;
  N: number;
  P: number;
}

/** Room for values that are sorted together. */
const defaultBudgetBytes = 256 * 2 ** 20;

/** How often the maps are gone through for exact quantiles. */
export const passesOf = (N: number, P: number, budgetBytes = defaultBudgetBytes): number =>
  Math.ceil(P / pixelsOfPass(N, P, budgetBytes));

const pixelsOfPass = (N: number, P: number, budgetBytes: number): number =>
  Math.min(P, Math.max(1, Math.floor(budgetBytes / (4 * N))));

/**
 * Quantiles of N maps at each pixel, interpolated linearly between the two values around q (N - 1) as NumPy's default does.
 * As many pixels at a time as fit into the budget; the maps are gone through for each part.
 *
 * @throws SHAPE_MISMATCH
 */
export async function exactQuantileMaps(
  { maps, N, P }: MapStack,
  quantiles: readonly number[],
  budgetBytes = defaultBudgetBytes,
): Promise<Float32Array<ArrayBuffer>> {
  const result = new Float32Array(quantiles.length * P);
  const size = pixelsOfPass(N, P, budgetBytes);
  for (let first = 0; first < P; first += size) {
    const last = Math.min(first + size, P);
    // (last - first, N): the values of a pixel side by side.
    const values = new Float32Array((last - first) * N);
    let n = 0;
    for await (const map of maps()) {
      expectShape('map', map, { P });
      for (let p = first; p < last; p++) values[(p - first) * N + n] = map[p]!;
      n++;
    }
    expectShape('maps', { length: n }, { N });
    for (let p = first; p < last; p++) {
      const sorted = values.subarray((p - first) * N, (p - first + 1) * N).sort();
      for (const [k, q] of quantiles.entries()) {
        result[k * P + p] = interpolate(q * (N - 1), (rank) => sorted[rank]!);
      }
    }
  }
  return result;
}

/**
 * The same from a histogram at each pixel, from its smallest to its largest value: each value counts as the middle of its bin,
 * so that a quantile is off by half a bin at most. Goes through the maps twice and holds 4 P (bins + 4) bytes however many
 * there are. A pixel that is always v gets bins from v - 1/2 to v + 1/2, as NumPy's histogram does.
 *
 * @throws SHAPE_MISMATCH
 */
export async function histogramQuantileMaps(
  { maps, N, P }: MapStack,
  quantiles: readonly number[],
  bins: number,
): Promise<Float32Array<ArrayBuffer>> {
  const lowest = new Float32Array(P).fill(Number.POSITIVE_INFINITY);
  const highest = new Float32Array(P).fill(Number.NEGATIVE_INFINITY);
  for await (const map of maps()) {
    expectShape('map', map, { P });
    for (let p = 0; p < P; p++) {
      lowest[p] = Math.min(lowest[p]!, map[p]!);
      highest[p] = Math.max(highest[p]!, map[p]!);
    }
  }
  const rangeOf = (p: number): [start: number, width: number] =>
    lowest[p] === highest[p] ? [lowest[p]! - 0.5, 1 / bins] : [lowest[p]!, (highest[p]! - lowest[p]!) / bins];
  const counts = new Uint32Array(P * bins);
  let n = 0;
  for await (const map of maps()) {
    for (let p = 0; p < P; p++) {
      const [start, width] = rangeOf(p);
      counts[p * bins + binOf(map[p]!, start, width, bins)]!++;
    }
    n++;
  }
  expectShape('maps', { length: n }, { N });
  const result = new Float32Array(quantiles.length * P);
  for (let p = 0; p < P; p++) {
    const [start, width] = rangeOf(p);
    const own = counts.subarray(p * bins, (p + 1) * bins);
    for (const [k, q] of quantiles.entries()) {
      result[k * P + p] = interpolate(q * (N - 1), (rank) => start + (binAtRank(own, rank) + 0.5) * width);
    }
  }
  return result;
}

/** A bin holds its lower edge; the last one holds its upper edge too. */
function binOf(value: number, start: number, width: number, bins: number): number {
  let bin = Math.min(Math.floor((value - start) / width), bins - 1);
  // The division rounds: the edges decide.
  if (value < start + bin * width) bin--;
  else if (bin < bins - 1 && value >= start + (bin + 1) * width) bin++;
  return bin;
}

/** The bin of the value of this rank in ascending order. */
function binAtRank(counts: Uint32Array, rank: number): number {
  let bin = 0;
  for (let seen = counts[0]!; seen <= rank; seen += counts[bin]!) bin++;
  return bin;
}

function interpolate(position: number, valueAt: (rank: number) => number): number {
  const rank = Math.floor(position);
  const lower = valueAt(rank);
  return position === rank ? lower : lower + (valueAt(rank + 1) - lower) * (position - rank);
}
