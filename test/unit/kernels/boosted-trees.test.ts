import { describe, expect, test } from 'vitest';
import {
  type BoostedTrees,
  boosting,
  fitBoostedTrees,
  treeLogOdds,
} from '../../../src/shared/kernels/boosted-trees.js';
import { createRandom } from '../../../src/shared/kernels/random.js';
import { codesOf, tableLogOdds, tabulateTrees } from '../../../src/shared/kernels/tree-tables.js';
import { expectClose } from '../../helpers/arrays.js';

const random = createRandom(5);
const draw = (count: number) => Float64Array.from({ length: count }, () => random.normal());
const loss = (odds: Float64Array, labels: ArrayLike<number>) => {
  const count = (wanted: boolean) => Array.from(labels).filter((label) => (label !== 0) === wanted).length;
  return odds.reduce((sum, value, i) => {
    const isDefect = labels[i] !== 0;
    return sum + Math.log1p(Math.exp(isDefect ? -value : value)) / 2 / count(isDefect);
  }, 0);
};

/** A tree that never was fitted: x0 <= 1 ? (x1 <= 2 ? 1 : 2) : (x0 <= 3 ? 4 : 8). */
const oneTree: BoostedTrees = {
  features: Int32Array.of(0, 1, 0),
  thresholds: Float64Array.of(1, 2, 3),
  leaves: Float64Array.of(1, 2, 4, 8),
};

test('a row takes one leaf of each tree, thresholds themselves going left', () => {
  const rows = Float64Array.of(1, 2, 1, 2.1, 1.1, 9, 3.1, 0);
  expect([...treeLogOdds(oneTree, rows, 2)]).toEqual([1, 2, 4, 8]);
  const twice = {
    features: Int32Array.of(0, 1, 0, 1, 1, 1),
    thresholds: Float64Array.of(1, 2, 3, 0, 0, 5),
    leaves: Float64Array.of(1, 2, 4, 8, 10, 10, 20, 40),
  };
  expect([...treeLogOdds(twice, rows, 2)]).toEqual([21, 22, 44, 18]);
});

describe('fitting', () => {
  const rows = draw(5 * 200);
  const labels = Uint8Array.from({ length: 200 }, (_, i) => Number(rows[5 * i]! > 1));

  test('the first tree is the best of all trees of two levels', () => {
    const few = Float64Array.from({ length: 2 * 40 }, () => random.integer(4));
    const marks = Uint8Array.from({ length: 40 }, (_, i) => Number(few[2 * i] === 1 || few[2 * i + 1] === 2));
    const { features, thresholds, leaves } = fitBoostedTrees(few, marks);
    expect(features).toHaveLength(3 * boosting.trees);
    const share = {
      good: marks.filter((mark) => mark === 0).length,
      defect: marks.filter((mark) => mark === 1).length,
    };
    /** The second order of the loss at log odds 0 of a row alone. */
    const derivatives = (i: number) => {
      const weight = 20 / (marks[i] === 0 ? share.good : share.defect);
      return { g: weight * (marks[i] === 0 ? 0.5 : -0.5), h: weight / 4 };
    };
    /** Of the four leaves; undefined where two of them are not one and one has too few rows. */
    const leavesOf = (splits: { feature: number; at: number }[]) => {
      const members: number[][] = [[], [], [], []];
      for (let i = 0; i < 40; i++) {
        const side = Number(few[2 * i + splits[0]!.feature]! > splits[0]!.at);
        const { feature, at } = splits[1 + side]!;
        members[2 * side + Number(few[2 * i + feature]! > at)]!.push(i);
      }
      return members.map((rowsOfLeaf) => {
        const g = rowsOfLeaf.reduce((sum, i) => sum + derivatives(i).g, 0);
        const h = rowsOfLeaf.reduce((sum, i) => sum + derivatives(i).h, 0);
        return { rows: rowsOfLeaf.length, gain: (g * g) / (h + boosting.ridge), g, h };
      });
    };
    const candidates = [0, 1].flatMap((feature) => [0.5, 1.5, 2.5].map((at) => ({ feature, at })));
    let best = 0;
    for (const root of candidates) {
      for (const left of candidates) {
        for (const right of candidates) {
          const tried = leavesOf([root, left, right]);
          if (tried.some(({ rows }) => rows < boosting.fewestRowsOfLeaf)) continue;
          best = Math.max(
            best,
            tried.reduce((sum, { gain }) => sum + gain, 0),
          );
        }
      }
    }
    const chosen = leavesOf([0, 1, 2].map((split) => ({ feature: features[split]!, at: thresholds[split]! })));
    expect(chosen.reduce((sum, { gain }) => sum + gain, 0)).toBeCloseTo(best, 9);
    expectClose(
      leaves.subarray(0, 4),
      chosen.map(({ g, h }) => (-boosting.shrinkage * g) / (h + boosting.ridge)),
      { atol: 1e-12 },
    );
  });

  test('every tree lowers the loss, in which each class counts one half', () => {
    const { features, thresholds, leaves } = fitBoostedTrees(rows, labels);
    let before = Math.log(2);
    for (let trees = 1; trees <= boosting.trees; trees++) {
      const some = {
        features: features.slice(0, 3 * trees),
        thresholds: thresholds.slice(0, 3 * trees),
        leaves: leaves.slice(0, 4 * trees),
      };
      const after = loss(treeLogOdds(some, rows, 5), labels);
      expect(after).toBeLessThan(before);
      before = after;
    }
    expect(before).toBeLessThan(0.1);
  });

  test('no leaf is made of fewer rows than allowed', () => {
    const ranked = Float64Array.from({ length: 200 }, (_, i) => rows[5 * i]!).sort();
    const three = Uint8Array.from({ length: 200 }, (_, i) => Number(rows[5 * i]! >= ranked[197]!)); // would fill a leaf alone
    const { features, thresholds } = fitBoostedTrees(rows, three);
    for (let t = 0; t < features.length; t += 3) {
      const counts = [0, 0, 0, 0];
      for (let i = 0; i < 200; i++) {
        const side = Number(rows[5 * i + features[t]!]! > thresholds[t]!);
        counts[2 * side + Number(rows[5 * i + features[t + 1 + side]!]! > thresholds[t + 1 + side]!)]!++;
      }
      for (const count of counts) expect(count === 0 || count >= boosting.fewestRowsOfLeaf).toBe(true);
    }
  });

  test('constant features give no trees, one class an error, and neighbouring numbers are told apart', () => {
    expect(fitBoostedTrees(new Float64Array(5 * 200).fill(3), labels).leaves).toHaveLength(0);
    expect(() => fitBoostedTrees(rows, new Uint8Array(200))).toThrowError(
      expect.objectContaining({ code: 'TOO_FEW_IMAGES' }),
    );
    const [less, more] = [1 + Number.EPSILON, 1 + 2 * Number.EPSILON]; // what lies between is rounded to the upper one
    const neighbours = Float64Array.from({ length: 40 }, (_, i) => (i < 20 ? less : more));
    const halves = Uint8Array.from({ length: 40 }, (_, i) => Number(i >= 20));
    const trees = fitBoostedTrees(neighbours, halves);
    const [low, high] = treeLogOdds(trees, Float64Array.of(less, more), 1);
    expect(low).toBeLessThan(-1);
    expect(high).toBeGreaterThan(1);
  });
});

describe('tables of pairs', () => {
  test('answer what the trees do, at thresholds and between them', () => {
    const rows = draw(5 * 300);
    const labels = Uint8Array.from({ length: 300 }, (_, i) => Number(rows[5 * i]! * rows[5 * i + 2]! > 0.1));
    const trees = fitBoostedTrees(rows, labels);
    const atThresholds = Float64Array.from({ length: 5 * 200 }, () => trees.thresholds[random.integer(150)]!);
    for (const asked of [rows, draw(5 * 300), atThresholds]) {
      const tables = tabulateTrees(trees, 5);
      expectClose(tableLogOdds(tables, codesOf(tables, asked)), treeLogOdds(trees, asked, 5), { atol: 1e-12 });
    }
  });

  test('know a tree whose splits all ask one feature', () => {
    const tables = tabulateTrees(
      { features: Int32Array.of(1, 1, 1), thresholds: Float64Array.of(2, 1, 3), leaves: Float64Array.of(1, 2, 4, 8) },
      3,
    );
    const rows = Float64Array.of(9, 1, 9, 9, 1.5, 9, 9, 2.5, 9, 9, 3.5, 9);
    expect([...tableLogOdds(tables, codesOf(tables, rows))]).toEqual([1, 2, 4, 8]);
  });
});
