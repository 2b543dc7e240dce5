import { expect, test } from 'vitest';
import {
  coalitionValues,
  exactShapley,
  type RowModel,
  shapleyValues,
} from '../../../src/explain/shap/exact-shapley.js';
import { createRandom } from '../../../src/shared/kernels/random.js';
import { expectClose } from '../../helpers/arrays.js';
import { type GoldenCase, goldenCase, goldenCases } from '../../helpers/golden.js';

const rowwise =
  (n: number, f: (row: Float64Array) => number): RowModel =>
  (rows, count) =>
    Float64Array.from({ length: count }, (_, i) => f(rows.subarray(i * n, (i + 1) * n)));

/** The function of the golden cases. */
const model = rowwise(
  5,
  ([x0, x1, x2, x3, x4]) => 3 * x0! + x1! * x2! + 4 * Math.max(x3! - 0.1, 0) - 0.5 * x4! ** 2 + x0! * x3! * x4!,
);

const shapleyOf = (golden: GoldenCase) => {
  const [x, background] = [golden.float32('x').data, golden.float32('background').data];
  const { values, baseValue, prediction } = exactShapley(model, x, background, 5);
  return {
    phi: values,
    base_value: baseValue,
    prediction,
    coalition_values: coalitionValues(model, x, background, 5),
  };
};

test.each(goldenCases('exact-shapley').filter(({ name }) => name !== 'from-table'))('golden case $name', (golden) => {
  golden.check(shapleyOf(golden), ['interaction']);
});

test('golden case from-table', () => {
  const golden = goldenCase('exact-shapley', 'from-table');
  const phi = shapleyValues(Float64Array.from(golden.float32('coalition_values').data), 5);
  golden.check({ phi });
  expect(phi[4]).toBe(0);
});

test('golden case of the linear model', () => {
  const golden = goldenCase('linear-shap', 'five-features');
  const [coefficients, intercept] = [golden.float32('coef').data, golden.float32('intercept').data[0]!];
  const linear = rowwise(5, (row) => row.reduce((sum, value, j) => sum + value * coefficients[j]!, intercept));
  const { data: x } = golden.float32('x');
  const explained = Array.from({ length: x.length / 5 }, (_, i) =>
    exactShapley(linear, x.subarray(5 * i, 5 * i + 5), golden.float32('background').data, 5),
  );
  golden.check({ phi: explained.flatMap(({ values }) => [...values]), expected_value: explained[0]!.baseValue });
});

const random = createRandom(7);
const numbers = (length: number) => Float64Array.from({ length }, () => random.normal());

test('equals the mean marginal contribution over every order of the features', () => {
  const [x, background] = [numbers(4), numbers(12)];
  const f = rowwise(4, ([a, b, c, d]) => a! * b! * c! + Math.tanh(b! - 2 * d!) + c! ** 2);
  const orders = (rest: number[]): number[][] =>
    rest.length === 0 ? [[]] : rest.flatMap((j) => orders(rest.filter((k) => k !== j)).map((tail) => [j, ...tail]));
  const valueWith = (own: number[]) => {
    const rows = background.map((value, i) => (own.includes(i % 4) ? x[i % 4]! : value));
    return Array.from(f(rows, 3)).reduce((sum, value) => sum + value, 0) / 3;
  };
  const want = new Float64Array(4);
  for (const order of orders([0, 1, 2, 3])) {
    for (const [k, j] of order.entries())
      want[j]! += (valueWith(order.slice(0, k + 1)) - valueWith(order.slice(0, k))) / 24;
  }
  expectClose(exactShapley(f, x, background, 4).values, want, { atol: 1e-12 });
});

test.each([1, 2, 10])('adds up, and a feature that the model ignores gets exactly 0, of %i and one features', (n) => {
  const weights = numbers(n);
  const risk = rowwise(n + 1, (row) => 1 / (1 + Math.exp(-weights.reduce((sum, w, j) => sum + w * row[j]!, 0.3))));
  const x = numbers(n + 1);
  const { values, baseValue, prediction, additivityGap } = exactShapley(risk, x, numbers(7 * (n + 1)), n + 1);
  expect(values[n]).toBe(0);
  expect(values.slice(0, n).every((value) => value !== 0)).toBe(true);
  expect(values.reduce((sum, value) => sum + value, baseValue)).toBeCloseTo(prediction, 12);
  expect(prediction).toBe(risk(x, 1)[0]);
  expect(additivityGap).toBeLessThan(1e-12);
});

test('a model that answers the same row differently from call to call is EXPLANATION_INCONSISTENT', () => {
  let calls = 0;
  const drifting = rowwise(2, ([a]) => a! + 1 + 1e-5 * calls);
  const counted: RowModel = (rows, count) => {
    calls++;
    return drifting(rows, count);
  };
  const inconsistent = expect.objectContaining({ code: 'EXPLANATION_INCONSISTENT' });
  expect(() => exactShapley(counted, [1, 2], numbers(6), 2)).toThrowError(inconsistent);
  expect(() =>
    exactShapley(
      rowwise(2, () => Number.NaN),
      [1, 2],
      numbers(6),
      2,
    ),
  ).toThrowError(inconsistent);
});

test('the gap counts by the scale of the model', () => {
  const scaled = (scale: number) => {
    let calls = 0;
    return rowwise(2, ([a, b]) => scale * (a! + b! + (calls++ < 12 ? 0 : 1e-4)));
  };
  for (const scale of [1e-9, 1, 1e9]) {
    expect(() => exactShapley(scaled(scale), [1, 2], numbers(6), 2)).toThrowError(
      expect.objectContaining({ code: 'EXPLANATION_INCONSISTENT' }),
    );
  }
});

test('sizes are checked', () => {
  const wrong = expect.objectContaining({ code: 'SHAPE_MISMATCH' });
  const zero = rowwise(2, () => 0);
  expect(() => exactShapley(zero, [1], numbers(6), 2)).toThrowError(wrong);
  expect(() => exactShapley(zero, [1, 2], numbers(5), 2)).toThrowError(wrong);
  expect(() => exactShapley(zero, [1, 2], [], 2)).toThrowError(wrong);
  expect(() => exactShapley(zero, numbers(17), numbers(17), 17)).toThrowError(wrong);
});
