import { describe, expect, test } from 'vitest';
import { dealFolds } from '../../../../src/fit/table/folds.js';
import { judgeHeldOut, mayExplainNothing } from '../../../../src/fit/table/held-out.js';
import { createRandom } from '../../../../src/shared/kernels/random.js';

const judge = (values: number[], predictions: number[], classes?: string[]) =>
  judgeHeldOut(
    { name: 'y', values: Float64Array.from(values), ...(classes && { classes }) },
    Float64Array.from(predictions),
    'by hand',
    0,
  );

test('errors of a regression, counted by hand; rows without a prediction are left out', () => {
  const { rows, measures } = judge([0, 2, 4, 6, 99], [1, 2, 4, 3, Number.NaN]);
  expect(rows).toBe(4);
  expect(measures.rmse).toMatchObject({ value: Math.sqrt(10 / 4), baseline: Math.sqrt(5) });
  expect(measures.mae).toMatchObject({ value: 1, baseline: 2 });
  expect(measures.r2).toMatchObject({ value: 0.5, baseline: 0 });
});

test('errors of two classes, counted by hand', () => {
  const { measures } = judge([0, 0, 0, 1], [0.9, 0.1, 0.6, 0.4, 0.2, 0.8, 1, 0], ['good', 'bad']);
  expect(measures.accuracy).toMatchObject({ value: 0.5, baseline: 0.75 });
  const loss = (...shares: number[]) => -shares.reduce((sum, share) => sum + Math.log(share), 0) / shares.length;
  expect(measures.logLoss!.value).toBeCloseTo(loss(0.9, 0.6, 0.2, 0.001), 12);
  expect(measures.logLoss!.baseline).toBeCloseTo(loss(0.75, 0.75, 0.75, 0.25), 12);
  expect(measures.auroc).toMatchObject({ value: 0, baseline: 0.5 });
});

test('more classes have no AUROC', () => {
  const { measures } = judge([0, 1, 2, 2], [1, 0, 0, 0, 1, 0, 0, 0, 1, 1, 0, 0], ['a', 'b', 'c']);
  expect(Object.keys(measures)).toEqual(['accuracy', 'logLoss']);
  expect(measures.accuracy!.value).toBe(0.75);
});

describe('the interval', () => {
  const n = 400;
  const random = createRandom(11);
  const values = Array.from({ length: n }, () => random.normal());

  test('is that of the mean error of so many rows', () => {
    const noisy = values.map((value) => value + (random.uniform() < 0.5 ? 1 : 0));
    const { value, interval } = judge(values, noisy).measures.mae!;
    // The mean of n coins.
    const reach = 1.96 * Math.sqrt(0.25 / n);
    for (const end of interval) {
      expect(Math.abs(end - value)).toBeGreaterThan(0.8 * reach);
      expect(Math.abs(end - value)).toBeLessThan(1.2 * reach);
    }
  });

  test('tells a model that knows something from one that does not', () => {
    const blind = values.map(() => random.normal() / 10);
    expect(mayExplainNothing(judge(values, blind))).toBe(true);
    const knowing = values.map((value) => value / 2 + random.normal() / 10);
    expect(mayExplainNothing(judge(values, knowing))).toBe(false);
    const classes = ['good', 'bad'];
    const labels = values.map((value) => Number(value > 0));
    const sure = (of: number[]) => of.flatMap((value) => [1 - value, value]);
    expect(mayExplainNothing(judge(labels, sure(blind.map((value) => 0.5 + value)), classes))).toBe(true);
    expect(mayExplainNothing(judge(labels, sure(labels.map((label) => 0.2 + 0.6 * label)), classes))).toBe(false);
  });
});

test('every fold has its share of each class', () => {
  const values = Float64Array.from({ length: 50 }, (_, row) => (row < 10 ? 1 : 0));
  const foldOf = dealFolds({ name: 'y', values, classes: ['good', 'bad'] }, 5, 5);
  for (let fold = 0; fold < 5; fold++) {
    const members = [...foldOf.keys()].filter((row) => foldOf[row] === fold);
    expect([members.length, members.filter((row) => row < 10).length]).toEqual([10, 2]);
  }
  expect([...foldOf]).not.toEqual([...dealFolds({ name: 'y', values, classes: ['good', 'bad'] }, 5, 4)]);
});
