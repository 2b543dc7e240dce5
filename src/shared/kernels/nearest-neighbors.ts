import { rowCount } from './shape.js';

// Q queries, M bank rows, D values in a row, k neighbours.

export interface NearestNeighbors {
  /** k, or M where the bank has fewer rows. */
  neighbors: number;
  /** Bank rows (Q, neighbors), nearest first. */
  index: Int32Array;
  /** |q - m|² (Q, neighbors). */
  squaredDistance: Float64Array;
  /** |q - m| (Q, neighbors). */
  distance: Float64Array;
}

/**
 * The k nearest bank rows of each query by Euclidean distance, ascending, the lower row first where two are equally far.
 *
 * Differences are squared and summed directly in float64: a row that lies in the bank is found at distance 0, which the
 * expansion |q|² - 2qm + |m|² misses. Takes Q·M·D steps; the plain reference of every faster search.
 *
 * @param queries (Q, D)
 * @param bank (M, D)
 * @throws SHAPE_MISMATCH
 */
export function nearestNeighbors(queries: Float32Array, bank: Float32Array, D: number, k: number): NearestNeighbors {
  const Q = rowCount('queries', queries, D);
  const M = rowCount('bank', bank, D);
  const neighbors = Math.min(k, M);
  const index = new Int32Array(Q * neighbors).fill(-1);
  const squaredDistance = new Float64Array(Q * neighbors).fill(Number.POSITIVE_INFINITY);

  for (let q = 0; q < Q; q++) {
    const first = q * neighbors;
    const last = first + neighbors - 1;
    for (let m = 0; m < M; m++) {
      let sum = 0;
      for (let d = 0; d < D; d++) {
        const difference = queries[q * D + d]! - bank[m * D + d]!;
        sum += difference * difference;
      }
      // Moves the row forward to its place; it stays behind rows at the same distance, which have lower numbers.
      if (sum >= squaredDistance[last]!) continue;
      let place = last;
      for (; place > first && squaredDistance[place - 1]! > sum; place--) {
        squaredDistance[place] = squaredDistance[place - 1]!;
        index[place] = index[place - 1]!;
      }
      squaredDistance[place] = sum;
      index[place] = m;
    }
  }
  return { neighbors, index, squaredDistance, distance: squaredDistance.map(Math.sqrt) };
}
