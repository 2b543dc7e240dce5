// n rows, m background rows, D features, K outputs.

/** output_k = intercepts[k] + Σ_j coefficients[k, j] · feature_j */
export interface LinearScores {
  /** (K, D) */
  coefficients: Float64Array;
  /** (K) */
  intercepts: Float64Array;
}

/** outputs (n, K) of rows (n, D) */
export function linearScores(
  { coefficients, intercepts }: LinearScores,
  rows: Float64Array,
): Float64Array<ArrayBuffer> {
  const K = intercepts.length;
  const D = coefficients.length / K;
  const scores = new Float64Array((rows.length / D) * K);
  for (let i = 0; i < scores.length; i++) {
    const [row, k] = [Math.floor(i / K), i % K];
    let sum = intercepts[k]!;
    for (let j = 0; j < D; j++) sum += coefficients[k * D + j]! * rows[row * D + j]!;
    scores[i] = sum;
  }
  return scores;
}

/**
 * Shapley values of a linear model, features taken as independent: φ_j = coefficient_j · (x_j - mean of the background)
 * (Štrumbelj and Kononenko 2014, section 3).
 *
 * @param background (m, D) @param rows (n, D) @returns (n, D, K)
 */
export function linearShap(
  { coefficients, intercepts }: LinearScores,
  background: Float64Array,
  rows: Float64Array,
): Float64Array<ArrayBuffer> {
  const K = intercepts.length;
  const D = coefficients.length / K;
  const means = new Float64Array(D);
  for (let i = 0; i < background.length; i++) means[i % D]! += background[i]!;
  for (let j = 0; j < D; j++) means[j]! /= background.length / D;
  const values = new Float64Array(rows.length * K);
  for (let i = 0; i < rows.length; i++) {
    const j = i % D;
    for (let k = 0; k < K; k++) values[i * K + k] = coefficients[k * D + j]! * (rows[i]! - means[j]!);
  }
  return values;
}
