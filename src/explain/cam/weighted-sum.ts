/**
 * Σ_c weights[c] A_c.
 *
 * @param activations A (C, h, w)
 * @param weights (C)
 * @returns (h, w)
 */
export function weightedSum(
  activations: Float32Array,
  weights: Float64Array,
  h: number,
  w: number,
): Float32Array<ArrayBuffer> {
  const sums = new Float64Array(h * w);
  for (let c = 0; c < weights.length; c++) {
    const weight = weights[c]!;
    if (weight === 0) continue;
    for (let p = 0, i = c * h * w; p < sums.length; p++, i++) sums[p]! += weight * activations[i]!;
  }
  return Float32Array.from(sums);
}
