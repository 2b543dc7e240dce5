import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { attribute } from '../../../src/explain/shap/attribute.js';
import type { Question } from '../../../src/explain/shap/attribution.js';
import { exactShapley, shapleyValues } from '../../../src/explain/shap/exact-shapley.js';
import { failedSets } from '../../../src/explain/shap/failed-sets.js';
import { createInterventionalTreeShap } from '../../../src/explain/shap/interventional-tree-shap.js';
import { expectedByCover } from '../../../src/explain/shap/node-cover.js';
import { pathDependentTreeShap } from '../../../src/explain/shap/path-dependent-tree-shap.js';
import { quadratureWalk } from '../../../src/explain/shap/quadrature-walk.js';
import { openTabularModel } from '../../../src/explain/shap/tabular-model.js';
import { findTrees } from '../../../src/explain/shap/tree-attribution.js';
import { childOf, sumLeaves, type TreeEnsemble } from '../../../src/explain/shap/tree-ensemble.js';
import { createRandom, type Random } from '../../../src/shared/kernels/random.js';
import { readModel } from '../../../src/shared/onnx/model.js';
import { expectClose } from '../../helpers/arrays.js';
import { goldenCases } from '../../helpers/golden.js';
import { gridRows, listedModel, randomCovers, randomTree, type Tree, type TreeOptions } from '../../helpers/trees.js';

describe('golden cases', () => {
  test.each(goldenCases('tree-shap'))('$name', async (golden) => {
    const x = golden.float32('x');
    const model = openTabularModel(readModel(readFileSync(golden.network())), x.shape.slice(1));
    const doubles = (name: string) => Float64Array.from(golden.float32(name).data);
    const question: Question = golden.name.endsWith('dependent')
      ? { rows: doubles('x'), nodeCover: doubles('node_cover') }
      : { rows: doubles('x'), background: doubles('background') };
    const { method, values, expected, predictions, additivityGap } = await attribute(model, 'auto', question);
    golden.check({ phi: values, expected_value: expected, prediction: predictions });
    expect(method).toBe('tree');
    expect(additivityGap).toBeLessThan(1e-12);
  });
});

interface Ensemble {
  trees: TreeEnsemble;
  covers: Float64Array;
}

function ensemble(random: Random, count: number, options: TreeOptions): Ensemble {
  const roots = Array.from({ length: count }, () => randomTree(random, options));
  return read(random, roots, options.D, options.K);
}

function read(random: Random, roots: Tree[], D: number, K = 1): Ensemble {
  const model = openTabularModel(listedModel(roots, { D, K, baseValues: new Array(K).fill(0.5) }), [D]);
  return { trees: findTrees(model).onnx.trees, covers: randomCovers(random, roots) };
}

/** v(S) where a feature outside S goes both ways, by the shares of the training weight: the definition. */
function worthByCover(
  { trees, covers }: Ensemble,
  row: Float64Array,
  k: number,
  isKnown: (j: number) => boolean,
): number {
  const visit = (node: number): number => {
    const feature = trees.features[node]!;
    if (feature < 0) {
      let weight = 0;
      for (let e = trees.leafStarts[node]!; e < trees.leafStarts[node + 1]!; e++) {
        if (trees.leafSums[e] === k) weight += trees.leafWeights[e]!;
      }
      return weight;
    }
    if (isKnown(feature)) return visit(childOf(trees, node, row[feature]!));
    const children = [trees.trueChildren[node]!, trees.falseChildren[node]!];
    return children.reduce((sum, child) => sum + (covers[child]! / covers[node]!) * visit(child), 0);
  };
  return trees.roots.reduce((sum, root) => sum + visit(root), trees.baseValues[k]!);
}

/** Shapley values (n, D, K) by all coalitions of a worth. */
function byAllCoalitions(
  rows: Float64Array,
  D: number,
  K: number,
  worth: (row: Float64Array, k: number, mask: number) => number,
) {
  const n = rows.length / D;
  const values = new Float64Array(n * D * K);
  for (let i = 0; i < n; i++) {
    for (let k = 0; k < K; k++) {
      const worths = Float64Array.from({ length: 2 ** D }, (_, mask) =>
        worth(rows.subarray(i * D, (i + 1) * D), k, mask),
      );
      for (const [j, value] of shapleyValues(worths, D).entries()) values[(i * D + j) * K + k] = value;
    }
  }
  return values;
}

const shapes: TreeOptions[] = [
  { D: 1, depth: 3 },
  { D: 4, depth: 1 },
  { D: 3, depth: 7 },
  { D: 6, depth: 6, missing: true },
  { D: 8, depth: 5, K: 3 },
];

describe.each([
  ['by sets of failed features', failedSets],
  ['by a walk with quadrature points', quadratureWalk],
])('path-dependent values %s', (_, form) => {
  const explain = ({ trees, covers }: Ensemble, rows: Float64Array, onRows?: (count: number) => void) =>
    pathDependentTreeShap(trees, covers, rows, onRows, form);

  test.each(shapes)('are those of all coalitions, for trees of %o', (options) => {
    const random = createRandom(1);
    const found = ensemble(random, 4, options);
    const { D, K } = found.trees;
    const rows = gridRows(random, 9, D);
    if (options.missing) for (let i = 0; i < rows.length; i += 4) rows[i] = Number.NaN;
    const want = byAllCoalitions(rows, D, K, (row, k, mask) =>
      worthByCover(found, row, k, (j) => ((mask >>> j) & 1) === 1),
    );
    expectClose(explain(found, rows), want, { atol: 1e-13 });
    const nothing = Array.from({ length: K }, (_, k) => worthByCover(found, rows, k, () => false));
    expectClose(expectedByCover(found.trees, found.covers), nothing, { atol: 1e-13 });
  });

  test('of more rows than a block are those of each row alone', () => {
    const random = createRandom(2);
    const found = ensemble(random, 3, { D: 5, depth: 6 });
    const rows = gridRows(random, 1100, 5);
    const alone = Array.from({ length: 1100 }, (_, i) => [...explain(found, rows.subarray(5 * i, 5 * i + 5))]);
    const progress: number[] = [];
    expectClose(
      explain(found, rows, (count) => progress.push(count)),
      alone.flat(),
    );
    expect(progress.reduce((sum, count) => sum + count)).toBe(1100);
  });

  test('of trees that add to some of the sums only are those of all coalitions', () => {
    const random = createRandom(5);
    const own = [[2], [0], [1, 2], []];
    const only = (tree: Tree, sums: number[]): Tree =>
      'weights' in tree
        ? { weights: tree.weights.map((weight, k) => (sums.includes(k) ? weight : 0)) }
        : { ...tree, children: [only(tree.children[0], sums), only(tree.children[1], sums)] };
    const trees = own.map((sums) => only(randomTree(random, { D: 4, depth: 4, K: 3 }), sums));
    const found = read(random, trees, 4, 3);
    const rows = gridRows(random, 9, 4);
    const want = byAllCoalitions(rows, 4, 3, (row, k, mask) =>
      worthByCover(found, row, k, (j) => ((mask >>> j) & 1) === 1),
    );
    expectClose(explain(found, rows), want, { atol: 1e-13 });
  });

  test('bear nodes that no training row reached', () => {
    const random = createRandom(4);
    const found = ensemble(random, 3, { D: 4, depth: 4 });
    const covers = found.covers.map((cover, node) => (node % 5 === 4 ? 0 : cover));
    const rows = gridRows(random, 20, 4);
    const values = explain({ ...found, covers }, rows);
    expectAdditive(found.trees, values, expectedByCover(found.trees, covers), rows);
  });
});

test.each([8, 9, 40])('path-dependent values of a way of %i features are those of its product game', (features) => {
  const random = createRandom(3);
  const found = read(random, [chain(random, features)], features);
  const rows = gridRows(random, 5, features);
  const values = pathDependentTreeShap(found.trees, found.covers, rows);
  expectClose(values, naivePathDependent(found, rows), { atol: 1e-12 });
  expectAdditive(found.trees, values, expectedByCover(found.trees, found.covers), rows);
});

/** A tree of one long way, which goes on for small values of a different feature at each split. */
function chain(random: Random, depth: number, D = depth): Tree {
  if (depth === 0) return { weights: [random.normal()] };
  const [on, off]: Tree[] = [chain(random, depth - 1, D), { weights: [random.normal()] }];
  const isTrue = random.uniform() < 0.5;
  return {
    feature: D - depth,
    mode: isTrue ? 'BRANCH_LEQ' : 'BRANCH_GT',
    threshold: 0.4,
    missingIsTrue: false,
    children: isTrue ? [on!, off!] : [off!, on!],
  };
}

function expectAdditive(
  { D, K, ...trees }: TreeEnsemble,
  values: Float64Array,
  expected: Float64Array,
  rows: Float64Array,
) {
  const sums = Float64Array.from({ length: (rows.length / D) * K }, (_, i) => {
    const [row, k] = [Math.floor(i / K), i % K];
    return Array.from({ length: D }, (_, j) => values[(row * D + j) * K + k]!).reduce((a, b) => a + b, expected[k]!);
  });
  expectClose(sums, sumLeaves({ D, K, ...trees }, rows), { atol: 1e-12 });
}

/** Leaf by leaf, with the weights of coalition sizes counted out: quadratic in the length of the way. For K = 1. */
function naivePathDependent({ trees, covers }: Ensemble, rows: Float64Array): Float64Array {
  const { D } = trees;
  const values = new Float64Array(rows.length);
  const visit = (node: number, row: number, way: Map<number, { passes: number; share: number }>): void => {
    const feature = trees.features[node]!;
    if (feature < 0) {
      for (const [j, { passes, share }] of way) {
        let bySize = [trees.leafWeights[trees.leafStarts[node]!] ?? 0];
        for (const [other, terms] of way) {
          if (other === j) continue;
          bySize = [...bySize, 0].map((sum, size) => sum * terms.share + (bySize[size - 1] ?? 0) * terms.passes);
        }
        const d = way.size;
        let weight = 1 / d;
        for (let size = 0; size < d; size++) {
          values[row * D + j]! += weight * bySize[size]! * (passes - share);
          weight *= (size + 1) / (d - 1 - size);
        }
      }
      return;
    }
    const next = childOf(trees, node, rows[row * D + feature]!);
    for (const child of [trees.trueChildren[node]!, trees.falseChildren[node]!]) {
      const before = way.get(feature) ?? { passes: 1, share: 1 };
      const passes = child === next ? before.passes : 0;
      visit(child, row, new Map(way).set(feature, { passes, share: (before.share * covers[child]!) / covers[node]! }));
    }
  };
  for (let row = 0; row * D < rows.length; row++) for (const root of trees.roots) visit(root, row, new Map());
  return values;
}

describe('interventional values', () => {
  test.each(shapes)('are those of all coalitions, for trees of %o', (options) => {
    const random = createRandom(5);
    const { trees } = ensemble(random, 4, options);
    const { D, K } = trees;
    const [rows, background] = [gridRows(random, 9, D), gridRows(random, 7, D)];
    if (options.missing) for (let i = 0; i < rows.length; i += 4) rows[i] = Number.NaN;
    const want = new Float64Array(9 * D * K);
    for (let i = 0; i < 9; i++) {
      for (let k = 0; k < K; k++) {
        const model = (some: Float64Array, count: number) =>
          sumLeaves(trees, some.subarray(0, count * D)).filter((_, place) => place % K === k);
        const { values } = exactShapley(model, rows.subarray(i * D, (i + 1) * D), background, D);
        for (const [j, value] of values.entries()) want[(i * D + j) * K + k] = value;
      }
    }
    expectClose(createInterventionalTreeShap(trees, background)(rows), want, { atol: 1e-13 });
  });

  test('of a way of 40 features, of many rows and of weighted backgrounds are those of pairs of rows', () => {
    const random = createRandom(6);
    const { trees } = read(random, [chain(random, 40), randomTree(random, { D: 40, depth: 9 })], 40);
    // Most splits are passed, so that many pairs of rows reach the end of the way.
    const mostlyZero = (count: number) =>
      Float64Array.from({ length: count * 40 }, () => Number(random.uniform() < 0.04));
    const [rows, background] = [mostlyZero(1100), mostlyZero(12)];
    const weights = Float64Array.from({ length: 12 }, () => random.uniform());
    const explain = createInterventionalTreeShap(trees, background);
    const values = explain(rows, { backgroundWeights: weights });
    const want = new Float64Array(rows.length);
    for (let b = 0; b < 12; b++) {
      const ofPairs = naivePairs(trees, rows, background.subarray(b * 40, (b + 1) * 40));
      for (let i = 0; i < want.length; i++) want[i]! += weights[b]! * ofPairs[i]!;
    }
    expectClose(values, want, { atol: 1e-12 });
    expectClose(explain(rows.subarray(0, 80)), explain(rows).subarray(0, 80), { atol: 1e-15 });
  });
});

/** Pair by pair and leaf by leaf, with the sets of features written out. For K = 1. */
function naivePairs(trees: TreeEnsemble, rows: Float64Array, other: Float64Array): Float64Array {
  const { D } = trees;
  const values = new Float64Array(rows.length);
  const factorial = (n: number): number => (n <= 1 ? 1 : n * factorial(n - 1));
  const visit = (node: number, row: number, mine: Set<number>, theirs: Set<number>): void => {
    const feature = trees.features[node]!;
    if (feature < 0) {
      const weight = trees.leafWeights[trees.leafStarts[node]!] ?? 0;
      const [a, b] = [mine.size, theirs.size];
      for (const j of mine) values[row * D + j]! += (weight * factorial(a - 1) * factorial(b)) / factorial(a + b);
      for (const j of theirs) values[row * D + j]! -= (weight * factorial(a) * factorial(b - 1)) / factorial(a + b);
      return;
    }
    const own = childOf(trees, node, rows[row * D + feature]!);
    const others = childOf(trees, node, other[feature]!);
    for (const child of [trees.trueChildren[node]!, trees.falseChildren[node]!]) {
      const [ownPasses, otherPasses] = [own === child && !theirs.has(feature), others === child && !mine.has(feature)];
      if (!ownPasses && !otherPasses) continue;
      visit(
        child,
        row,
        ownPasses && !otherPasses ? new Set(mine).add(feature) : mine,
        otherPasses && !ownPasses ? new Set(theirs).add(feature) : theirs,
      );
    }
  };
  for (let row = 0; row * D < rows.length; row++)
    for (const root of trees.roots) visit(root, row, new Set(), new Set());
  return values;
}

test('features that no tree uses, or that are as in the whole background, get exactly 0', () => {
  const random = createRandom(7);
  const { trees, covers } = read(random, [randomTree(random, { D: 3, depth: 5 })], 5);
  const rows = gridRows(random, 30, 5);
  const background = gridRows(random, 10, 5);
  for (let i = 1; i < rows.length; i += 5) rows[i] = 0.25;
  for (let i = 1; i < background.length; i += 5) background[i] = 0.25;
  const values = createInterventionalTreeShap(trees, background)(rows);
  const ofCovers = pathDependentTreeShap(trees, covers, rows);
  for (let i = 0; i < 30; i++) {
    expect([values[5 * i + 1], ...values.subarray(5 * i + 3, 5 * i + 5)]).toEqual([0, 0, 0]);
    expect([...ofCovers.subarray(5 * i + 3, 5 * i + 5)]).toEqual([0, 0]);
  }
  expect(values.some((value) => value !== 0)).toBe(true);
});

test('features that stand in for each other get the same', () => {
  const both = (a: number, b: number): Tree => ({
    feature: a,
    mode: 'BRANCH_LEQ',
    threshold: 0,
    missingIsTrue: false,
    children: [
      { weights: [0] },
      {
        feature: b,
        mode: 'BRANCH_LEQ',
        threshold: 0,
        missingIsTrue: false,
        children: [{ weights: [0] }, { weights: [6] }],
      },
    ],
  });
  const { trees } = read(createRandom(8), [both(0, 1), both(1, 0)], 2);
  const covers = [4, 2, 2, 1, 1, 4, 2, 2, 1, 1];
  const row = Float64Array.of(1, 1);
  expectClose(pathDependentTreeShap(trees, covers, row), [4.5, 4.5], { atol: 1e-14 });
  expectClose(createInterventionalTreeShap(trees, Float64Array.of(0, 0))(row), [6, 6], { atol: 1e-14 });
});
