import { expect, test } from 'vitest';
import { maxScore, meanOfLargest, reweightedScore } from '../../../src/shared/kernels/image-score.js';
import { nearestNeighbors } from '../../../src/shared/kernels/nearest-neighbors.js';
import { createRandom } from '../../../src/shared/kernels/random.js';
import { expectClose } from '../../helpers/arrays.js';
import { goldenCases } from '../../helpers/golden.js';

test.each(goldenCases('anomaly-score'))('golden case $name', (golden) => {
  const { data: embedding, shape } = golden.float32('embedding');
  const bank = golden.float32('bank').data;
  const D = shape[1]!;
  const found = nearestNeighbors(embedding, bank, D, 1);
  const P = golden.params.patches!;
  const scores = Array.from({ length: golden.params.batch! }, (_, image) => {
    const { score, patch } = maxScore(found.distance.subarray(image * P, (image + 1) * P));
    const vector = embedding.subarray((image * P + patch) * D, (image * P + patch + 1) * D);
    return { score, patch, reweighted: reweightedScore(vector, bank, D, golden.params.numNeighbors!) };
  });
  golden.check({
    patch_scores: found.distance,
    patch_scores_squared: found.squaredDistance,
    location: found.index,
    argmax_patch: scores.map(({ patch }) => patch),
    score_max: scores.map(({ score }) => score),
    score_max_squared: scores.map(({ score }) => score ** 2),
    support: scores.flatMap(({ reweighted }) => [...reweighted.support]),
    weight: scores.map(({ reweighted }) => reweighted.weight),
    score_reweighted: scores.map(({ reweighted }) => reweighted.score),
  });
});

test('a patch far from all bank rows alike keeps its distance but for its share of them', () => {
  const bank = Float32Array.of(0, 0, 0, 1e-6);
  expect(reweightedScore(Float32Array.of(3, 4), bank, 2, 9).score).toBeCloseTo(2.5, 5);
  expect(reweightedScore(Float32Array.of(3000, 4000), Float32Array.of(0, 0, -9000, 0), 2, 9).score).toBe(5000);
});

test('a bank row itself has the score 0, and so has every patch against a bank of one row', () => {
  const bank = Float32Array.of(1, 2, 3, 4, 5, 6);
  expect(reweightedScore(Float32Array.of(3, 4), bank, 2, 9).score).toBe(0);
  expect(reweightedScore(Float32Array.of(9, 9), Float32Array.of(1, 2), 2, 9).score).toBe(0);
});

test('the first of equal patches is taken, and NaN before all', () => {
  expect(maxScore(Float32Array.of(1, 5, 5, 2))).toEqual({ score: 5, patch: 1 });
  expect(maxScore(Float32Array.of(-3))).toEqual({ score: -3, patch: 0 });
  for (const values of [
    [Number.NaN, 9],
    [1, Number.NaN, 9],
    [9, Number.NaN],
  ]) {
    expect(maxScore(Float32Array.from(values)).score).toBeNaN();
  }
});

test('the mean of the largest values does not depend on their order', () => {
  expect(meanOfLargest(Float32Array.of(1, 9, 4, 4, 2), 3)).toBeCloseTo(17 / 3, 12);
  expect(meanOfLargest(Float32Array.of(-5, -1, -3), 2)).toBe(-2);
  const random = createRandom(1);
  const values = Float32Array.from({ length: 196 }, random.normal);
  const shuffled = Float32Array.from(random.permutation(196), (i) => values[i]!);
  expectClose([meanOfLargest(shuffled, 6)], [meanOfLargest(values, 6)]);
  expect(meanOfLargest(values, 1)).toBe(maxScore(values).score);
});

test('NaN among the values is not lost', () => {
  expect(meanOfLargest(Float32Array.of(Number.NaN, 1, 2), 2)).toBeNaN();
});

test('a count that the values do not have is SHAPE_MISMATCH', () => {
  for (const count of [0, 3, Number.NaN]) {
    expect(() => meanOfLargest(new Float32Array(2), count)).toThrowError(
      expect.objectContaining({ code: 'SHAPE_MISMATCH' }),
    );
  }
  expect(() => maxScore(new Float32Array(0))).toThrowError(expect.objectContaining({ code: 'SHAPE_MISMATCH' }));
});
