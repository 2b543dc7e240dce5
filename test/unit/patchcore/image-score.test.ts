import { expect, test } from 'vitest';
import { nearestNeighbors } from '../../../src/shared/kernels/nearest-neighbors.js';
import { createRandom } from '../../../src/shared/kernels/random.js';
import {
  fuse,
  type ImageScoring,
  imageScore,
  mapValues,
  scoreNames,
  spreadOf,
} from '../../../src/shared/patchcore/image-score.js';
import { float32 } from '../../helpers/arrays.js';
import { goldenCase } from '../../helpers/golden.js';

const random = createRandom(101);
const [P, d, M] = [100, 3, 20];
const rows = float32(M * d, random.normal);
const projected = float32(P * d, random.normal);
const distances = Float32Array.from(nearestNeighbors(projected, rows, d, 1).distance);
const residualDistances = float32(P, () => 5 + random.uniform());
const statistics = () => ({ means: float32(P, random.uniform), scales: float32(P, () => 0.1 + random.uniform()) });
const scoring: Omit<ImageScoring, 'score'> = {
  position: statistics(),
  fusion: {
    position: statistics(),
    distanceScores: { median: 2, spread: 0.5 },
    residualScores: { median: 20, spread: 4 },
  },
  topFraction: 0.03,
  rows,
  dims: d,
};
const values = { distances, projected, residualDistances };
const top3 = (all: ArrayLike<number>) =>
  Array.from(all)
    .sort((a, b) => b - a)
    .slice(0, 3)
    .reduce((sum, value) => sum + value / 3, 0);
const z = (all: Float32Array, { means, scales } = scoring.position) =>
  all.map((value, p) => (value - means[p]!) / scales[p]!);

test('position and top3 are means of the 3 % largest, with and without what is usual at the position', () => {
  expect(imageScore(values, { ...scoring, score: 'position' })).toBeCloseTo(top3(z(distances)), 5);
  expect(imageScore(values, { ...scoring, score: 'top3' })).toBeCloseTo(top3(distances), 6);
});

test('max is the largest distance', () => {
  expect(imageScore(values, { ...scoring, score: 'max' })).toBe(Math.max(...distances));
});

test('fused joins both standardised position scores', () => {
  const ofDistances = (top3(z(distances)) - 2) / 0.5;
  const ofResiduals = (top3(z(residualDistances, scoring.fusion!.position)) - 20) / 4;
  expect(imageScore(values, { ...scoring, score: 'fused' })).toBeCloseTo(fuse(ofDistances, ofResiduals), 5);
});

test('reweighted takes the nine bank rows around the nearest one, as in the golden case', () => {
  const golden = goldenCase('anomaly-score', 'single');
  const { data: embedding, shape } = golden.float32('embedding');
  const bank = golden.float32('bank').data;
  const ofCase = { ...scoring, rows: bank, dims: shape[1]!, score: 'reweighted' } as const;
  const found = Float32Array.from(nearestNeighbors(embedding, bank, shape[1]!, 1).distance);
  const score = imageScore({ distances: found, projected: embedding }, ofCase);
  expect(score).toBeCloseTo(Number(golden.output('score_reweighted').data[0]), 4);
});

test.each([
  [3, 4, 5],
  [3, -4, 3],
  [-1, 0, 0],
  [-1, -2, -1],
  [-2, -2, -2],
])('%d and %d are fused to %d', (a, b, expected) => {
  expect(fuse(a, b)).toBe(expected);
  expect(fuse(b, a)).toBe(expected);
});

test('the map shows what exceeds the usual where the score goes by it, else plain distances', () => {
  const { position } = scoring;
  for (const score of scoreNames) {
    const expected = ['position', 'fused'].includes(score)
      ? distances.map((v, p) => v - position.means[p]!)
      : distances;
    expect(mapValues(distances, score, position)).toEqual(expected);
  }
});

test('scores that are all alike have a spread above 0', () => {
  expect(spreadOf(new Float64Array(9).fill(3))).toEqual({ median: 3, spread: 1e-9 });
});
