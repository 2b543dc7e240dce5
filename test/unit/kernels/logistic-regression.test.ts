import { expect, test } from 'vitest';
import {
  fitLogisticRegression,
  logOdds,
  predictProbability,
  rawCoefficients,
} from '../../../src/shared/kernels/logistic-regression.js';
import { createRandom } from '../../../src/shared/kernels/random.js';
import { expectClose } from '../../helpers/arrays.js';

const sigmoid = (value: number) => 1 / (1 + Math.exp(-value));

/** Rows of features of very different scale whose labels are drawn by a known model: log odds = Σ coefficients · (row - mean). */
function drawn(n: number, coefficients: number[], scales: number[], seed: number) {
  const random = createRandom(seed);
  const D = coefficients.length;
  const scale = (j: number) => scales[j % scales.length]!;
  const rows = Float64Array.from({ length: n * D }, (_, i) => scale(i % D) * (random.normal() + 3));
  const labels = Uint8Array.from({ length: n }, (_, i) => {
    const odds = coefficients.reduce((sum, c, j) => sum + c * (rows[i * D + j]! - 3 * scale(j)), 0);
    return random.uniform() < sigmoid(odds) ? 1 : 0;
  });
  return { rows, labels };
}

/** The gradient of the mean log loss (each class one half) plus ridge / 2 |weights|², by the standardised weights and the bias. */
function gradientAt(
  rows: ArrayLike<number>,
  labels: Uint8Array,
  ridge: number,
  model: ReturnType<typeof fitLogisticRegression>,
): Float64Array {
  const D = model.weights.length;
  const defects = labels.filter((label) => label === 1).length;
  const gradient = Float64Array.from([...model.weights.map((weight) => ridge * weight), 0]);
  for (const [i, label] of labels.entries()) {
    const features = Array.from({ length: D }, (_, j) => (rows[i * D + j]! - model.means[j]!) / model.scales[j]!);
    const odds = features.reduce((sum, value, j) => sum + value * model.weights[j]!, model.bias);
    const pull = (0.5 / (label === 1 ? defects : labels.length - defects)) * (sigmoid(odds) - label);
    for (const [j, value] of [...features, 1].entries()) gradient[j]! += pull * value;
  }
  return gradient;
}

test('the coefficients of the model that made the rows are found again', () => {
  const coefficients = [0.8, -30, 0.002, 0];
  const { rows, labels } = drawn(60_000, coefficients, [1, 0.05, 500, 2], 5);
  const { weights } = rawCoefficients(fitLogisticRegression(rows, labels, { ridge: 1e-9 }));
  expectClose(weights, coefficients, { rtol: 0.06, atol: 0.012 });
});

test.each([
  [40, 5, 1e-3],
  [500, 5, 1],
  [60, 300, 1e-2],
  [200, 40, 1e-5],
])('the gradient is 0 at the optimum: %i rows of %i features, ridge %f', (n, D, ridge) => {
  const coefficients = Array.from({ length: D }, (_, j) => Math.sin(j + 1));
  const { rows, labels } = drawn(n, coefficients, [1, 10, 0.1], n);
  const model = fitLogisticRegression(rows, labels, { ridge });
  expectClose(gradientAt(rows, labels, ridge, model), new Float64Array(D + 1), { atol: 1e-7 });
});

test.each([44, 72, 189])('the optimum is found where full Newton steps overshoot: rows far out, draw %i', (seed) => {
  const random = createRandom(seed);
  const rows = Float64Array.from({ length: 20 * 4 }, () => random.normal() ** 5);
  const labels = Uint8Array.from({ length: 20 }, (_, i) => (i < 6 ? 1 : 0));
  const model = fitLogisticRegression(rows, labels, { ridge: 1e-8 });
  expectClose(gradientAt(rows, labels, 1e-8, model), new Float64Array(5), { atol: 1e-6 });
});

test('one feature, three rows: the optimum of a hand-made equation', () => {
  // Weighted mean 0 and deviation 1 already; by symmetry the bias is 0 and ridge · w = 1 - σ(w), so w = 1 at this ridge.
  const ridge = 1 - sigmoid(1);
  const model = fitLogisticRegression(Float64Array.of(-1, 1, 1), [0, 1, 1], { ridge });
  expectClose([...model.weights, model.bias, ...model.means, ...model.scales], [1, 0, 0, 1], { atol: 1e-8 });
  expectClose(predictProbability(model, Float64Array.of(0, 1)), [0.5, sigmoid(1)], { atol: 1e-8 });
});

test('rows that can be separated give a finite model that separates them', () => {
  const random = createRandom(1);
  for (const [n, D] of [
    [30, 2],
    [30, 200],
  ] as const) {
    const labels = Array.from({ length: n }, (_, i) => i % 2);
    const rows = Float32Array.from({ length: n * D }, (_, i) => random.normal() + 20 * labels[Math.floor(i / D)]!);
    for (const ridge of [1e-8, 1e-3, 10]) {
      const model = fitLogisticRegression(rows, labels, { ridge });
      expect(model.weights.every(Number.isFinite) && Number.isFinite(model.bias)).toBe(true);
      const probabilities = predictProbability(model, rows);
      expect(probabilities.every((p, i) => p > 0.5 === (labels[i] === 1))).toBe(true);
    }
  }
});

test('a heavier ridge gives smaller weights', () => {
  const { rows, labels } = drawn(200, [1, -1], [1, 1], 3);
  const sizes = [1e-4, 1e-2, 1, 100].map((ridge) =>
    Math.hypot(...fitLogisticRegression(rows, labels, { ridge }).weights),
  );
  expect(sizes).toEqual(sizes.toSorted((a, b) => b - a));
  expect(sizes[3]).toBeLessThan(0.01);
});

test('classes count alike: repeating the rows of one changes nothing', () => {
  const { rows, labels } = drawn(80, [1, -2, 0.5], [1, 1, 1], 8);
  const repeated = [...labels.keys()].flatMap((i) => (labels[i] === 1 ? [i, i, i, i] : [i]));
  const model = fitLogisticRegression(rows, labels, { ridge: 0.01 });
  const again = fitLogisticRegression(
    Float64Array.from(repeated.flatMap((i) => [...rows.subarray(3 * i, 3 * i + 3)])),
    repeated.map((i) => labels[i]!),
    { ridge: 0.01 },
  );
  expectClose(again.weights, model.weights, { atol: 1e-7 });
  expectClose(again.means, model.means, { atol: 1e-12 });
  expect(again.bias).toBeCloseTo(model.bias, 7);
});

test('a fit is the same to the last bit when repeated, and does not depend on units', () => {
  const { rows, labels } = drawn(100, [1, -2], [1, 1], 9);
  const model = fitLogisticRegression(rows, labels, { ridge: 0.01 });
  expect(fitLogisticRegression(rows, labels, { ridge: 0.01 })).toEqual(model);
  const otherUnits = rows.map((value, i) => (i % 2 ? 1000 * value - 7 : value / 64));
  const probabilities = predictProbability(fitLogisticRegression(otherUnits, labels, { ridge: 0.01 }), otherUnits);
  expectClose(probabilities, predictProbability(model, rows), { atol: 1e-6 });
});

test('a feature that does not vary gets weight 0', () => {
  const { rows, labels } = drawn(50, [1, 0], [1, 1], 2);
  rows.forEach((_, i) => {
    if (i % 2 === 1) rows[i] = 0.1;
  });
  const { weights, scales } = fitLogisticRegression(rows, labels, { ridge: 0.01 });
  expect([weights[1], scales[1]]).toEqual([expect.closeTo(0, 12), 1]);
});

test('probabilities stay within 0 and 1 for rows far away', () => {
  const { rows, labels } = drawn(50, [1], [1], 2);
  const model = fitLogisticRegression(rows, labels, { ridge: 0.01 });
  expectClose(predictProbability(model, Float64Array.of(-1e6, 1e6)), [0, 1]);
  expect(Math.abs(logOdds(model, Float64Array.of(1e6))[0]!)).toBeGreaterThan(1e5);
});

test('faulty rows are refused', () => {
  const fitting = (rows: number[], labels: number[]) => () =>
    fitLogisticRegression(Float64Array.from(rows), labels, { ridge: 0.1 });
  const error = (code: string) => expect.objectContaining({ code });
  expect(fitting([1, 2, 3], [0, 1])).toThrowError(error('SHAPE_MISMATCH'));
  expect(fitting([1, 2, 3], [0, 0, 0])).toThrowError(error('TOO_FEW_IMAGES'));
  expect(fitting([1, 2, 3], [1, 1, 1])).toThrowError(error('TOO_FEW_IMAGES'));
  expect(fitting([1, Number.NaN, 3], [0, 1, 1])).toThrowError(error('FIT_NOT_CONVERGED'));
  expect(fitting([1, Number.POSITIVE_INFINITY, 3], [0, 1, 1])).toThrowError(error('FIT_NOT_CONVERGED'));
});
