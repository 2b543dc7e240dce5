import { expect, test } from 'vitest';
import type { Risk } from '../../src/shared/contracts.js';
import { fitBoostedTrees } from '../../src/shared/kernels/boosted-trees.js';
import { fitLogisticRegression } from '../../src/shared/kernels/logistic-regression.js';
import { createRandom } from '../../src/shared/kernels/random.js';
import { featureNames } from '../../src/shared/kernels/readable-features.js';
import { type RiskFunction, riskProbability } from '../../src/shared/kernels/risk-function.js';
import { explainRisk } from '../../src/workers/shap.js';
import { expectClose } from '../helpers/arrays.js';

const random = createRandom(9);
const rows = Float64Array.from({ length: 5 * 300 }, random.normal);
const labels = Uint8Array.from({ length: 300 }, (_, i) =>
  Number(rows[5 * i]! * rows[5 * i + 3]! + rows[5 * i + 1]! > 0),
);
const background = Float64Array.from({ length: 5 * 40 }, random.normal);
const usual = [0, 0, 0, 0, 0];

/** Mean over all orders in which features become known, and over the background, of what each adds to the probability. */
function byAllOrders(model: RiskFunction, x: Float64Array): number[] {
  const orders = (left: number[]): number[][] =>
    left.length === 0 ? [[]] : left.flatMap((j) => orders(left.filter((k) => k !== j)).map((rest) => [j, ...rest]));
  const values = [0, 0, 0, 0, 0];
  const all = orders([0, 1, 2, 3, 4]);
  for (const order of all) {
    const mixed = background.slice();
    const meanRisk = () => riskProbability(model, mixed).reduce((sum, risk) => sum + risk, 0) / 40;
    let before = meanRisk();
    for (const j of order) {
      for (let b = 0; b < 40; b++) mixed[5 * b + j] = x[j]!;
      const after = meanRisk();
      values[j]! += (after - before) / all.length;
      before = after;
    }
  }
  return values;
}

test.each([
  ['a forest', { kind: 'forest' as const, ...fitBoostedTrees(rows, labels) }],
  ['a logistic regression', { kind: 'logistic' as const, ...fitLogisticRegression(rows, labels, { ridge: 0.01 }) }],
])('the risk of %s is attributed by exact Shapley values of the probability', (_, model) => {
  for (const row of [0, 1, 2]) {
    const x = rows.slice(5 * row, 5 * row + 5);
    const risk: Risk = explainRisk({ model, background, usual }, [...x], 'anomalous');
    expectClose(
      risk.features.map(({ shap }) => shap),
      byAllOrders(model, x),
      { atol: 1e-9 },
    );
    expect(risk.probability).toBeCloseTo(riskProbability(model, x)[0]!, 12);
    expect(risk.features.reduce((sum, { shap }) => sum + shap, risk.baseValue)).toBeCloseTo(risk.probability, 12);
    expect(risk.features.map(({ name, value }) => [name, value])).toEqual(featureNames.map((name, j) => [name, x[j]]));
    expect(risk.agreesWithVerdict).toBe(risk.probability >= 0.5);
  }
});
