import { createInterventionalTreeShap } from '../dist/explain/shap/interventional-tree-shap.js';
import { expectedByCover } from '../dist/explain/shap/node-cover.js';
import { pathDependentTreeShap } from '../dist/explain/shap/path-dependent-tree-shap.js';
import { sumLeaves } from '../dist/explain/shap/tree-ensemble.js';
import { createRandom } from '../dist/shared/kernels/random.js';
import { measure } from './measure.mjs';

const rowCount = 1000;
const backgroundRows = 100;
const D = 30;
const rounds = 3;
const cases = [
  { name: '100 trees of full depth', count: 100, depth: Number.POSITIVE_INFINITY },
  { name: '300 trees of depth 6', count: 300, depth: 6 },
  { name: '300 trees of depth 3', count: 300, depth: 3 },
];

/** @typedef {import('../dist/explain/shap/tree-ensemble.js').TreeEnsemble} TreeEnsemble */

/**
 * Extremely randomised trees (Geurts et al. 2006): at each node a feature and a threshold at random, until each leaf has one row
 * of the training or the depth is reached.
 *
 * @param {Float64Array} rows
 * @param {number} count
 * @param {number} depth
 */
function growTrees(rows, count, depth) {
  const random = createRandom(2);
  /** @type {{ feature: number, threshold: number, children: [number, number], cover: number, weight: number }[]} */
  const nodes = [];
  const valueAt = (/** @type {number} */ row, /** @type {number} */ j) => Number(rows[row * D + j]);
  const targetOf = (/** @type {number} */ row) =>
    2 * valueAt(row, 0) + Math.sin(3 * valueAt(row, 1)) + valueAt(row, 2) * valueAt(row, 3);

  function grow(/** @type {number[]} */ members, /** @type {number} */ left) {
    const place = nodes.length;
    const mean = members.reduce((sum, row) => sum + targetOf(row), 0) / members.length;
    nodes.push({ feature: -1, threshold: 0, children: [0, 0], cover: members.length, weight: mean / count });
    if (members.length === 1 || left === 0) return place;
    const feature = random.integer(D);
    const values = members.map((row) => valueAt(row, feature));
    const [low, high] = [Math.min(...values), Math.max(...values)];
    const threshold = Math.min(
      low + random.uniform() * (high - low),
      Math.max(...values.filter((value) => value < high)),
    );
    const isTrue = (/** @type {number} */ row) => valueAt(row, feature) <= threshold;
    const whenTrue = grow(members.filter(isTrue), left - 1);
    const whenFalse = grow(
      members.filter((row) => !isTrue(row)),
      left - 1,
    );
    Object.assign(/** @type {object} */ (nodes[place]), { feature, threshold, children: [whenTrue, whenFalse] });
    return place;
  }

  const everyRow = Array.from({ length: rows.length / D }, (_, row) => row);
  const roots = Int32Array.from({ length: count }, () => grow(everyRow, depth));
  const leaves = nodes.flatMap(({ feature }, place) => (feature < 0 ? [place] : []));
  const leafStarts = new Int32Array(nodes.length + 1);
  for (const [place, { feature }] of nodes.entries())
    leafStarts[place + 1] = Number(leafStarts[place]) + (feature < 0 ? 1 : 0);
  /** @type {TreeEnsemble} */
  const trees = {
    D,
    K: 1,
    roots,
    features: Int32Array.from(nodes, ({ feature }) => feature),
    lower: new Float64Array(nodes.length).fill(Number.NEGATIVE_INFINITY),
    upper: Float64Array.from(nodes, ({ threshold }) => threshold),
    missingIsTrue: new Uint8Array(nodes.length),
    trueChildren: Int32Array.from(nodes, ({ children }) => children[0]),
    falseChildren: Int32Array.from(nodes, ({ children }) => children[1]),
    leafStarts,
    leafSums: new Int32Array(leaves.length),
    leafWeights: Float64Array.from(leaves, (place) => Number(nodes[place]?.weight)),
    baseValues: new Float64Array(1),
  };
  return { trees, covers: Float64Array.from(nodes, ({ cover }) => cover) };
}

/** Values and expected value have to make the predictions. */
function checkSums(
  /** @type {Float64Array} */ values,
  /** @type {number} */ expected,
  /** @type {Float64Array} */ predictions,
) {
  for (const [row, prediction] of predictions.entries()) {
    const sum = values.subarray(row * D, (row + 1) * D).reduce((total, value) => total + value, expected);
    if (!(Math.abs(sum - prediction) < 1e-9)) throw new Error(`Row ${row} adds up to ${sum} and not to ${prediction}`);
  }
}

/** @param {(typeof cases)[number]} set */
async function measureCase({ name, count, depth }) {
  const random = createRandom(1);
  const rows = Float64Array.from({ length: rowCount * D }, random.normal);
  const background = Float64Array.from({ length: backgroundRows * D }, random.normal);
  const { trees, covers } = growTrees(rows, count, depth);
  const predictions = sumLeaves(trees, rows);
  const forms = {
    predict: () => sumLeaves(trees, rows),
    pathDependent: () => pathDependentTreeShap(trees, covers, rows),
    interventional: () => createInterventionalTreeShap(trees, background)(rows),
  };
  const mean = sumLeaves(trees, background).reduce((sum, value) => sum + value / backgroundRows, 0);
  checkSums(forms.pathDependent(), Number(expectedByCover(trees, covers)[0]), predictions);
  checkSums(forms.interventional(), mean, predictions);
  const { predict, pathDependent, interventional } = await measure(forms, rounds);
  const cells = (/** @type {{ min: number, median: number }} */ { min, median }) => [
    Math.round(min),
    Math.round(median),
    (median / predict.median).toFixed(0),
  ];
  return [
    [`${name}, path-dependent`, trees.features.length, ...cells(pathDependent)],
    [`${name}, interventional`, trees.features.length, ...cells(interventional)],
  ];
}

/** It needs Python, so this does not run it: figures are those of one day. */
const reference = `Against the compiled code of the shap package 0.51.0, measured by hand in turn on the same two AMD EPYC cores: seconds of CPU
time, a process for each, medians of one to three, for 1,000 rows of models of scikit-learn 1.9 in their ONNX export. Times of patchline hold the compilation of
its own code. Values differed by at most 1.3e-7 (the file holds float32), but for one row in each of two classifiers, by up to 0.002: one
of its values lies within a float32 step of a threshold, which the package rounds when it explains interventionally. For one of
the two, all coalitions by scikit-learn's own predictions gave patchline's value.

| model | path-dependent: shap | patchline | interventional, 100 background rows: shap | patchline |
| --- | --- | --- | --- | --- |
| random forest, 100 trees of full depth, 20 features | 30.7 | 7.9 | 25.3 | 5.9 |
| extremely randomised trees, 100 of full depth, 30 features | 55.2 | 13.9 | | |
| random forest of 3 classes, 100 trees of full depth | 10.2 | 4.0 | | |
| random forest of 10 classes, 100 trees of depth 8 | 1.82 | 0.58 | 52.8 | 1.3 |
| gradient boosting, 300 trees of depth 6 | 0.96 | 0.33 | 5.4 | 0.23 |
| gradient boosting, 300 trees of depth 3 | 0.085 | 0.090 | 1.2 | 0.076 |
| histogram boosting, 300 trees of 31 leaves, missing values | 1.09 | 0.55 | 9.5 | 0.39 |
| histogram boosting of 5 classes, 500 trees of 31 leaves | 2.23 | 0.88 | | |`;

/** @type {import('./run.mjs').Bench} */
export default {
  name: 'shap',
  about:
    `Shapley values of trees (\`src/explain/shap/\`) for ${rowCount} rows × ${D} features, against the predictions of the same rows; ` +
    `interventional against ${backgroundRows} background rows.`,
  async run() {
    const rows = [];
    for (const set of cases) rows.push(...(await measureCase(set)));
    return { columns: ['trees', 'nodes', 'min ms', 'median ms', 'times the predictions'], rows, notes: [reference] };
  },
};
