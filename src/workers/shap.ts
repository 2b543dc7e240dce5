import { exactShapley } from '../explain/shap/exact-shapley.js';
import type { ExplainingData, FeaturesResult, Risk, ShapResult } from '../shared/contracts.js';
import { predictProbability } from '../shared/kernels/logistic-regression.js';
import { featureNames } from '../shared/kernels/readable-features.js';
import type { LoadedBundle, RiskModel } from '../shared/loaded-bundle.js';

export interface ShapContext {
  loadBundle(product: string, version: string): Promise<LoadedBundle>;
  /** What the features job under this one found. */
  features(): Promise<FeaturesResult>;
}

/** Attributes the risk of a defect to the readable features. */
export async function shap(data: ExplainingData, { loadBundle, features }: ShapContext): Promise<ShapResult> {
  const { risk } = await loadBundle(data.product, data.bundle);
  const { values } = await features();
  return { risk: explainRisk(risk, values, data.verdict) };
}

/**
 * The risk of a row of features as a probability, by exact Shapley values against held-out good images.
 *
 * @param values (5), in the order of `featureNames`
 * @throws EXPLANATION_INCONSISTENT
 */
export function explainRisk(
  { model, background, usual }: RiskModel,
  values: number[],
  verdict: ExplainingData['verdict'],
): Risk {
  const explained = exactShapley(
    (rows, count) => predictProbability(model, rows.subarray(0, count * featureNames.length)),
    values,
    background,
    featureNames.length,
  );
  const { prediction: probability, baseValue } = explained;
  return {
    probability,
    baseValue,
    agreesWithVerdict: probability >= 0.5 === (verdict === 'anomalous'),
    features: featureNames.map((name, j) => ({
      name,
      value: values[j]!,
      usual: usual[j]!,
      shap: explained.values[j]!,
    })),
  };
}
