import { exactShapley } from '../dist/explain/shap/exact-shapley.js';
import { fitBoostedTrees } from '../dist/shared/kernels/boosted-trees.js';
import { fitLogisticRegression } from '../dist/shared/kernels/logistic-regression.js';
import { createRandom } from '../dist/shared/kernels/random.js';
import { riskProbability } from '../dist/shared/kernels/risk-function.js';
import { explainRisk } from '../dist/workers/shap.js';
import { measure } from './measure.mjs';

const inspections = 1000;
const backgroundRows = 100;
const D = 5;
const rounds = 5;
/** What exact Shapley values through the model itself may differ by. */
const tolerance = 1e-9;

const random = createRandom(6);
const rows = Float64Array.from({ length: inspections * D }, random.normal);
const background = Float64Array.from({ length: backgroundRows * D }, random.normal);
const labels = Uint8Array.from({ length: inspections }, (_, i) => {
  return Number(/** @type {number} */ (rows[D * i]) * /** @type {number} */ (rows[D * i + 3]) + random.normal() > 0);
});
/** @param {number} i */
const rowOf = (i) => [...rows.subarray(D * i, D * i + D)];

/** @param {import('../dist/shared/kernels/risk-function.js').RiskFunction} model */
async function measureModel(model) {
  const risk = { model, background, usual: [0, 0, 0, 0, 0] };
  const explain = () => Array.from({ length: inspections }, (_, i) => explainRisk(risk, rowOf(i), 'good'));
  const explainPlainly = () =>
    Array.from({ length: inspections }, (_, i) => {
      return exactShapley(
        (given, count) => riskProbability(model, given.subarray(0, count * D)),
        rowOf(i),
        background,
        D,
      );
    });
  const expected = explainPlainly();
  for (const [i, { features }] of explain().entries()) {
    const wrong = features.findIndex(({ shap }, j) => {
      return !(Math.abs(shap - Number(expected[i]?.values[j])) <= tolerance);
    });
    if (wrong >= 0)
      throw new Error(`Feature ${wrong} of inspection ${i} misses its exact Shapley value by more than ${tolerance}`);
  }
  const { stage, plain } = await measure({ stage: explain, plain: explainPlainly }, rounds);
  const ratio = `${(plain.median / stage.median).toFixed(1)} ×`;
  return [model.kind, stage.min.toFixed(0), stage.median.toFixed(0), plain.median.toFixed(0), ratio];
}

/** @type {import('./run.mjs').Bench} */
export default {
  name: 'risk',
  about: `Explanations of ${inspections} inspections of ${D} features against ${backgroundRows} good ones on one core (\`src/workers/shap.ts\`): exact Shapley values of the probability, against the same without the tables that stand for the trees of a forest.`,
  async run() {
    const forest = { kind: /** @type {const} */ ('forest'), ...fitBoostedTrees(rows, labels) };
    const logistic = {
      kind: /** @type {const} */ ('logistic'),
      ...fitLogisticRegression(rows, labels, { ridge: 0.01 }),
    };
    const trees = forest.leaves.length / 4;
    return {
      columns: ['risk model', 'min ms', 'median ms', 'plain, median ms', 'ratio'],
      rows: [await measureModel(forest), await measureModel(logistic)],
      notes: [`The forest has ${trees} trees of depth 2.`],
    };
  },
};
