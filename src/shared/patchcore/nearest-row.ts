import type { Bank } from './search-graph.js';

/**
 * The bank row with the least spaced distance √(|y - m_j|² / r_j) to a projected patch vector, the lower one where two are
 * equally near. Differences are squared and summed in float64: a vector that is a row of the bank has distance 0 from it. For
 * the few patches that are shown; the graph finds the distances of all.
 *
 * @param vector (d)
 */
export function nearestRow(vector: Float32Array, { rows, spacing, dims }: Bank): { row: number; distance: number } {
  let [nearest, least] = [0, Number.POSITIVE_INFINITY];
  for (let row = 0; row < spacing.length; row++) {
    const bound = least * spacing[row]!;
    let square = 0;
    for (let dim = 0; dim < dims && square < bound; dim++) square += (vector[dim]! - rows[row * dims + dim]!) ** 2;
    if (square < bound) {
      nearest = row;
      least = square / spacing[row]!;
    }
  }
  return { row: nearest, distance: Math.sqrt(least) };
}
