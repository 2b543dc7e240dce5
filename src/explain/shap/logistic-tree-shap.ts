import { createInterventionalTreeShap } from './interventional-tree-shap.js';
import type { TreeEnsemble } from './tree-ensemble.js';

/** Rows (n, D) of features and the sums (n, K) of their leaves. */
export interface TreeRun {
  features: Float64Array;
  sums: Float64Array<ArrayBuffer>;
}

/**
 * Attributes σ(sum of leaves), interventional. For each background row the Shapley values of the sum are scaled by what σ makes
 * of a unit of their difference, (σ(x) - σ(b)) / (x - b), and the mean is taken: DeepLIFT's rescale rule at the last step, as
 * the reference implementation (Lundberg et al., arXiv:1905.04610) does it. Values add up to the probability, but are not the
 * Shapley values of the probability itself: those need all coalitions.
 *
 * @returns values (n, D, K), expected (K) and predictions (n, K)
 */
export function logisticTreeShap(
  trees: TreeEnsemble,
  background: TreeRun,
  rows: TreeRun,
  onRows: (count: number) => void = () => {},
) {
  const { D, K } = trees;
  const n = rows.sums.length / K;
  const m = background.sums.length / K;
  const values = new Float64Array(n * D * K);
  const weights = new Float64Array(m);
  const explainers = Array.from({ length: K }, (_, k) =>
    createInterventionalTreeShap(onlySum(trees, k), background.features),
  );
  for (let row = 0; row < n; row++) {
    for (const [k, explain] of explainers.entries()) {
      const own = rows.sums[row * K + k]!;
      for (let b = 0; b < m; b++) weights[b] = secant(own, background.sums[b * K + k]!) / m;
      const ofSum = explain(rows.features.subarray(row * D, (row + 1) * D), { backgroundWeights: weights });
      for (let j = 0; j < D; j++) values[(row * D + j) * K + k] = ofSum[j]!;
    }
    onRows(1);
  }
  const expected = new Float64Array(K);
  for (let i = 0; i < background.sums.length; i++) expected[i % K]! += logistic(background.sums[i]!) / m;
  return { values, expected, predictions: Float64Array.from(rows.sums, logistic) };
}

const logistic = (value: number): number => 1 / (1 + Math.exp(-value));

/** The slope of σ between two places; its derivative where they are too close for a difference. */
function secant(a: number, b: number): number {
  if (Math.abs(a - b) > 1e-6) return (logistic(a) - logistic(b)) / (a - b);
  const middle = logistic((a + b) / 2);
  return middle * (1 - middle);
}

/** The trees with the leaf weights of one sum alone. */
function onlySum(trees: TreeEnsemble, k: number): TreeEnsemble {
  const { leafStarts, leafSums, leafWeights, baseValues } = trees;
  const kept = [...leafSums.keys()].filter((e) => leafSums[e] === k);
  const keptBefore = new Int32Array(leafSums.length + 1);
  for (let e = 0; e < leafSums.length; e++) keptBefore[e + 1] = keptBefore[e]! + (leafSums[e] === k ? 1 : 0);
  return {
    ...trees,
    K: 1,
    leafStarts: leafStarts.map((start) => keptBefore[start]!),
    leafSums: new Int32Array(kept.length),
    leafWeights: Float64Array.from(kept, (e) => leafWeights[e]!),
    baseValues: baseValues.subarray(k, k + 1),
  };
}
