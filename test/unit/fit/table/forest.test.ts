import { afterAll, describe, expect, test } from 'vitest';
import { readTrees } from '../../../../src/explain/shap/read-tree-ensemble.js';
import { createRowRunner, openTabularModel } from '../../../../src/explain/shap/tabular-model.js';
import { addLeaf, floatBelow, growTree } from '../../../../src/fit/table/decision-tree.js';
import { growForest, predictForest } from '../../../../src/fit/table/forest.js';
import { composeForest, nodeCoverOf } from '../../../../src/fit/table/forest-graph.js';
import type { TrainingTable } from '../../../../src/fit/table/training-table.js';
import { createCompute } from '../../../../src/shared/compute.js';
import { createRandom } from '../../../../src/shared/kernels/random.js';
import { readModel, writeModel } from '../../../../src/shared/onnx/model.js';
import { expectClose } from '../../../helpers/arrays.js';
import { processRows, scrapOf, trainingTable } from '../../../helpers/process-tables.js';

const compute = createCompute({ threads: 1 });
afterAll(() => compute.close());

const grow = (table: TrainingTable, trees = 6, seed = 0) =>
  growForest(table, { trees, seed, compute, onTree: () => undefined });

/** What onnxruntime makes of the model's file. */
async function runModel(model: ReturnType<typeof composeForest>, rows: Float64Array, D: number) {
  const proto = readModel(writeModel(model));
  const { inputs, output } = openTabularModel(proto, [D]);
  const runner = await createRowRunner(proto, inputs);
  const results = await runner.run(rows);
  await runner.close();
  return results[output]!;
}

describe('one tree', () => {
  const predict = (tree: ReturnType<typeof growTree>, row: number[], K = 1) => {
    const sums = new Float64Array(K);
    addLeaf(tree, row, sums);
    return [...sums];
  };

  test('finds the one step that explains a target, at its root', () => {
    const rows = Float64Array.from({ length: 40 }, (_, i) => (i % 2 === 0 ? Math.sin(i) : i));
    const targets = Float64Array.from({ length: 20 }, (_, row) => (row < 8 ? 0 : 100));
    const tree = growTree({ rows, targets });
    expect([...tree.features]).toEqual([1, -1, -1]);
    expect([...tree.covers]).toEqual([20, 8, 12]);
    expect([predict(tree, [0, 15]), predict(tree, [0, 17])]).toEqual([[0], [100]]);
  });

  test('has shares of classes in its leaves', () => {
    const rows = Float64Array.from({ length: 30 }, (_, row) => row);
    const targets = Float64Array.from({ length: 30 }, (_, row) => Math.floor(row / 10));
    const tree = growTree({ rows, targets, classes: 3 });
    expect([5, 15, 25].map((value) => predict(tree, [value], 3))).toEqual([
      [1, 0, 0],
      [0, 1, 0],
      [0, 0, 1],
    ]);
  });

  test('is a leaf where nothing varies', () => {
    const tree = growTree({ rows: new Float64Array(10), targets: Float64Array.from({ length: 10 }, (_, i) => i) });
    expect([[...tree.features], [...tree.values], [...tree.covers]]).toEqual([[-1], [4.5], [10]]);
  });
});

test.each([1, -1, 0, 2 ** -149, 1 / 3, -1 / 3, 1 + 2 ** -24, 3e38, 1e-40])('the largest float32 below %d', (value) => {
  const below = floatBelow(value);
  expect(Math.fround(below)).toBe(below);
  expect(below).toBeLessThan(value);
  const bits = new Int32Array(Float32Array.of(below).buffer);
  bits[0]! += below > 0 ? 1 : below < 0 ? -1 : 0;
  const next = below === 0 ? 2 ** -149 : new Float32Array(bits.buffer)[0]!;
  expect(next).toBeGreaterThanOrEqual(value);
});

describe('the model of a forest', () => {
  const rows = processRows(60);
  const holed = rows.map((row, i) => row.map((value, j) => ((i + j) % 7 === 0 ? Number.NaN : value)));

  test('gives what its trees give, for missing values too', async () => {
    const table = trainingTable(holed, rows.map(scrapOf));
    const forest = await grow(table);
    const got = await runModel(composeForest(forest, table), table.rows, 4);
    expectClose(got, predictForest(forest, table.rows), { atol: 1e-5 });
    const none = new Float64Array(4).fill(Number.NaN);
    expectClose(await runModel(composeForest(forest, table), none, 4), predictForest(forest, forest.medians), {
      atol: 1e-5,
    });
  });

  test('splits neighbours of float32, negative and huge values as its trees do', async () => {
    const bits = (start: number) =>
      Array.from({ length: 40 }, (_, i) => new Float32Array(Int32Array.of(start + i).buffer)[0]!);
    const [small, large] = [bits(0x3f800000), bits(0x7f000000)];
    const random = createRandom(3);
    const table = trainingTable(
      small.map((value, i) => [value, -value, large[i]!]),
      small.map(() => random.normal()),
    );
    const forest = await grow(table, 20);
    const got = await runModel(composeForest(forest, table), table.rows, 3);
    expectClose(got, predictForest(forest, table.rows), { atol: 1e-5 });
  });

  test('keeps the digits of a large target', async () => {
    const table = trainingTable(
      rows,
      rows.map((row) => 2 ** 20 + scrapOf(row)),
    );
    const forest = await grow(table);
    const got = await runModel(composeForest(forest, table), table.rows, 4);
    expectClose(got, predictForest(forest, table.rows), { atol: 0.1 });
  });

  test.each([2, 3])('gives shares of %d classes that sum to 1', async (K) => {
    const table = trainingTable(
      rows,
      rows.map((row) => Math.min(K - 1, Math.max(0, Math.floor(1 + scrapOf(row) / 5)))),
      ['low', 'middle', 'high'].slice(0, K),
    );
    const forest = await grow(table);
    const got = await runModel(composeForest(forest, table), table.rows, 4);
    expectClose(got, predictForest(forest, table.rows), { atol: 1e-5 });
    expect(got.subarray(0, K).reduce((sum, value) => sum + value)).toBeCloseTo(1, 5);
  });

  test('has a cover for each node, the rows of a tree at its root', async () => {
    const table = trainingTable(rows, rows.map(scrapOf));
    const forest = await grow(table, 3);
    const covers = nodeCoverOf(forest);
    const { trees } = readTrees(readModel(writeModel(composeForest(forest, table))).graph.node[0]!, 4);
    expect(covers).toHaveLength(trees.features.length);
    expect([...trees.roots].map((root) => covers[root])).toEqual([60, 60, 60]);
    for (const [node, feature] of trees.features.entries()) {
      if (feature < 0) continue;
      expect(covers[trees.trueChildren[node]!]! + covers[trees.falseChildren[node]!]!).toBe(covers[node]);
    }
  });
});

test('a row is held out of the trees that were grown on it', async () => {
  const rows = processRows(40);
  // Every tree would know a target by chance by heart, were its own rows judged.
  const random = createRandom(1);
  const targets = rows.map(() => random.normal());
  const forest = await grow(trainingTable(rows, targets), 30);
  const error = (predictions: Float64Array) =>
    targets.reduce((sum, value, i) => sum + (value - predictions[i]!) ** 2, 0) / targets.length;
  const spread = error(new Float64Array(40));
  expect(error(predictForest(forest, Float64Array.from(rows.flat())))).toBeLessThan(0.4 * spread);
  expect(error(forest.outOfBag)).toBeGreaterThan(0.8 * spread);
  const [one] = [await grow(trainingTable(rows, targets), 1)];
  expect(one!.outOfBag.filter(Number.isNaN).length).toBeGreaterThan(15);
});

test('the same seed gives the same forest, another seed another', async () => {
  const table = trainingTable(processRows(40), processRows(40).map(scrapOf));
  const bytes = async (seed: number) => writeModel(composeForest(await grow(table, 3, seed), table));
  const first = await bytes(7);
  expect(await bytes(7)).toEqual(first);
  expect(await bytes(8)).not.toEqual(first);
});
