import { exactShapley, type ShapleyExplanation } from '../explain/shap/exact-shapley.js';
import type { Compute } from '../shared/compute.js';
import type { ExplainingData, FeaturesResult, Risk, ShapResult } from '../shared/contracts.js';
import type { BoostedTrees } from '../shared/kernels/boosted-trees.js';
import { sigmoid } from '../shared/kernels/logistic-regression.js';
import { featureNames } from '../shared/kernels/readable-features.js';
import { riskProbability } from '../shared/kernels/risk-function.js';
import { codesOf, type TreeTables, tableLogOdds, tabulateTrees } from '../shared/kernels/tree-tables.js';
import type { LoadedBundle, RiskModel } from '../shared/loaded-bundle.js';
import { attributeProcess, type TableModel } from './process-attribution.js';

export interface ShapContext {
  compute: Compute;
  /** Products that have a model of process data: `loadTables`. */
  tables: ReadonlyMap<string, TableModel>;
  loadBundle(product: string, version: string): Promise<LoadedBundle>;
  /** What the features job under this one found. */
  features(): Promise<FeaturesResult>;
}

/** Attributes the risk of a defect to the readable features, and what the product's own model says to its process data. */
export async function shap(data: ExplainingData, context: ShapContext): Promise<ShapResult> {
  const { risk } = await context.loadBundle(data.product, data.bundle);
  const { values } = await context.features();
  const table = context.tables.get(data.product);
  return {
    risk: explainRisk(risk, values, data.verdict),
    ...(table && (await attributeProcess(table, { ...data, features: values }, context.compute))),
  };
}

/**
 * The risk of a row of features as a probability, by exact Shapley values against held-out good images.
 *
 * @param values (5), in the order of `featureNames`
 * @throws EXPLANATION_INCONSISTENT
 */
export function explainRisk(risk: RiskModel, values: number[], verdict: ExplainingData['verdict']): Risk {
  const { usual } = risk;
  const explained = attributeRisk(risk, values);
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

/** By forest: a bundle is loaded once and explains many inspections. */
const knownTables = new WeakMap<BoostedTrees, TreeTables>();

function tablesOf(trees: BoostedTrees): TreeTables {
  const tables = knownTables.get(trees) ?? tabulateTrees(trees, featureNames.length);
  knownTables.set(trees, tables);
  return tables;
}

/** Exact Shapley values of the probability, by all coalitions; of a forest over codes, which say all that trees know of a value. */
function attributeRisk({ model, background }: RiskModel, values: number[]): ShapleyExplanation {
  const D = featureNames.length;
  const ofRows = (rows: Float64Array, count: number) => rows.subarray(0, count * D);
  if (model.kind === 'logistic') {
    return exactShapley((rows, count) => riskProbability(model, ofRows(rows, count)), values, background, D);
  }
  const tables = tablesOf(model);
  const [own, usual] = [codesOf(tables, values), codesOf(tables, background)];
  return exactShapley((codes, count) => tableLogOdds(tables, ofRows(codes, count)).map(sigmoid), own, usual, D);
}
