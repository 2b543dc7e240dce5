import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { attribute } from '../../../src/explain/shap/attribute.js';
import { sampleCoalitions } from '../../../src/explain/shap/coalition-sample.js';
import { allCoalitions, coalitionMeans, createGame, type RowFunction } from '../../../src/explain/shap/coalitions.js';
import { exactModelShap } from '../../../src/explain/shap/exact-model.js';
import { kernelShap } from '../../../src/explain/shap/kernel-shap.js';
import { openTabularModel } from '../../../src/explain/shap/tabular-model.js';
import { createRandom } from '../../../src/shared/kernels/random.js';
import { readModel } from '../../../src/shared/onnx/model.js';
import { expectClose } from '../../helpers/arrays.js';
import { goldenCases } from '../../helpers/golden.js';

describe.each(['exact', 'kernel'] as const)('golden cases by the method %s', (method) => {
  test.each(goldenCases('kernel-shap'))('$name', async (golden) => {
    const [x, background] = ['x', 'background'].map((name) => Float64Array.from(golden.float32(name).data));
    const model = openTabularModel(readModel(readFileSync(golden.network())), [5]);
    const explained = await attribute(model, method, { rows: x!, background });
    expect(explained).toMatchObject({ method, scale: 'output', K: 1 });
    const { values, expected } = explained;
    golden.check({ phi: values, expected_value: expected }, ['coalition_values0', 'coalition_values1']);
  });
});

const random = createRandom(21);
const numbers = (length: number) => Float64Array.from({ length }, () => random.normal());

/** A model of rows (count, D) with K outputs. */
const rowwise =
  (D: number, f: (row: Float64Array) => number[]): RowFunction =>
  async (rows) =>
    Float64Array.from(Array.from({ length: rows.length / D }, (_, i) => f(rows.subarray(i * D, (i + 1) * D))).flat());

async function byKernel(model: RowFunction, x: Float64Array, background: Float64Array) {
  const prediction = Float64Array.from(await model(x));
  const K = prediction.length;
  const usual = await model(background);
  const baseValues = prediction.map(
    (_, k) => usual.filter((_, i) => i % K === k).reduce((a, b) => a + b, 0) / (usual.length / K),
  );
  return { values: await kernelShap(model, x, background, { prediction, baseValues }), prediction, baseValues };
}

describe('coalitions', () => {
  test.each([2, 3, 4, 7, 11])('are all taken of %i features, with the weights of their sizes', (V) => {
    const { members, weights } = sampleCoalitions(V, 2 * V + 2048, createRandom(0));
    expect(weights).toHaveLength(2 ** V - 2);
    const masks = new Set(Array.from(weights, (_, c) => members.subarray(c * V, (c + 1) * V).join('')));
    expect(masks.size).toBe(2 ** V - 2);
    const kernel = Array.from(weights, (_, c) => {
      const size = members.subarray(c * V, (c + 1) * V).reduce((a, b) => a + b, 0);
      let binomial = 1;
      for (let i = 1; i <= size; i++) binomial = (binomial * (V - size + i)) / i;
      return (V - 1) / (binomial * size * (V - size));
    });
    const total = kernel.reduce((a, b) => a + b, 0);
    expectClose(
      weights,
      kernel.map((weight) => weight / total),
      { atol: 1e-14 },
    );
  });

  test.each([12, 20, 40, 60])('are drawn in pairs of complements where there are too many, of %i features', (V) => {
    const { members, weights } = sampleCoalitions(V, 2 * V + 2048, createRandom(0));
    expect(weights.reduce((a, b) => a + b, 0)).toBeCloseTo(1, 12);
    expect(weights.length).toBeLessThanOrEqual(2 * V + 2049); // the last pair stays whole
    expect(weights.length).toBeGreaterThan(2 * V + 1000);
    const codes = Array.from(weights, (_, c) => members.subarray(c * V, (c + 1) * V).join(''));
    expect(new Set(codes).size).toBe(codes.length);
    const flipped = (code: string) => code.replace(/./g, (bit) => (bit === '1' ? '0' : '1'));
    const alone = codes.filter((code) => !codes.includes(flipped(code)));
    const isHalf = (code: string) => 2 * code.replaceAll('0', '').length === V;
    expect(alone.filter((code) => !isHalf(code))).toEqual([]); // half of the features has no other size to pair with
    for (let j = 0; j < V; j++) expect(codes).toContain(`${'0'.repeat(j)}1${'0'.repeat(V - j - 1)}`);
    const again = sampleCoalitions(V, 2 * V + 2048, createRandom(0));
    expect([again.members, again.weights]).toEqual([members, weights]);
  });
});

test('all coalitions give the exact values, of several outputs', async () => {
  const model = rowwise(7, ([a, b, c, d, e, f]) => [a! * b! + Math.max(c!, d!), Math.tanh(e! * f! - a!)]);
  const [x, background] = [numbers(7), numbers(7 * 9)];
  const exact = await exactModelShap(model, x, background, 2);
  expectClose((await byKernel(model, x, background)).values, exact, { atol: 1e-12 });
  expect([...exact.subarray(12)]).toEqual([0, 0]); // the model ignores the seventh feature
});

test.each([20, 40])('drawn coalitions give the exact values of an additive model of %i features', async (D) => {
  const weights = numbers(D);
  const model = rowwise(D, (row) => [row.reduce((sum, value, j) => sum + weights[j]! * Math.sin(value), 0)]);
  const [x, background] = [numbers(D), numbers(D * 5)];
  const want = weights.map((weight, j) => {
    const usual = background.filter((_, i) => i % D === j).reduce((sum, value) => sum + Math.sin(value) / 5, 0);
    return weight * (Math.sin(x[j]!) - usual);
  });
  expectClose((await byKernel(model, x, background)).values, want, { atol: 1e-10 });
});

test('drawn coalitions come close to the values of a model of pairs, and add up', async () => {
  const D = 20;
  const model = rowwise(D, (row) => [row.reduce((sum, value, j) => sum + value * row[(j + 1) % D]!, 0)]);
  const [x, background] = [numbers(D), numbers(D)];
  // A product of two features shares x_j x_k - b_j b_k between them as the mean of both orders.
  const want = x.map((value, j) =>
    [(j + 1) % D, (j + D - 1) % D].reduce(
      (sum, k) => sum + ((value - background[j]!) * (x[k]! + background[k]!)) / 2,
      0,
    ),
  );
  const { values, prediction, baseValues } = await byKernel(model, x, background);
  expectClose(values, want, { atol: 0.3 });
  expect(values.reduce((a, b) => a + b, baseValues[0]!)).toBeCloseTo(prediction[0]!, 10);
});

test('features that are as in the whole background cost nothing and get 0', async () => {
  let rowsSeen = 0;
  const inner = rowwise(18, ([a, b, c]) => [a! * b! * c!]);
  const model: RowFunction = (rows) => {
    rowsSeen += rows.length / 18;
    return inner(rows);
  };
  const x = numbers(18);
  const background = Float64Array.from({ length: 18 * 4 }, (_, i) => (i % 18 < 3 ? random.normal() : x[i % 18]!));
  const values = await exactModelShap(model, x, background, 1);
  expect(rowsSeen).toBe(2 ** 3 * 4);
  expect(values.subarray(3).every((value) => value === 0)).toBe(true);
  expectClose((await byKernel(model, x, background)).values, values, { atol: 1e-12 });
  const same = new Float64Array([...x, ...x]);
  expect([...(await byKernel(model, x, same)).values, ...(await exactModelShap(model, x, same, 1))]).toEqual(
    new Array(36).fill(0),
  );
  const one = Float64Array.from(x, (value, j) => (j === 1 ? value + 1 : value));
  const alone = (await byKernel(model, x, one)).values;
  expect([...alone].map((value, j) => (j === 1 ? 0 : value))).toEqual(new Array(18).fill(0));
  expect(alone[1]).not.toBe(0);
});

test('the mean over the background is taken in batches of any size', async () => {
  const model = rowwise(3, ([a, b, c]) => [a! + 2 * b!, c!]);
  const [x, background] = [numbers(3), numbers(3 * 5000)];
  const means = await coalitionMeans(createGame(model, x, background), allCoalitions(3));
  const meanOf = (j: number) => background.filter((_, i) => i % 3 === j).reduce((a, b) => a + b, 0) / 5000;
  const want = Array.from({ length: 8 }, (_, mask) => {
    const value = (j: number) => ((mask >>> j) & 1 ? x[j]! : meanOf(j));
    return [value(0) + 2 * value(1), value(2)];
  });
  expectClose(means, want.flat(), { atol: 1e-12 });
});
