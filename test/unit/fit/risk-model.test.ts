import { expect, test } from 'vitest';
import { learnRisk } from '../../../src/fit/risk-model.js';
import { auroc } from '../../../src/shared/kernels/auroc.js';
import { createRandom } from '../../../src/shared/kernels/random.js';
import { riskLogOdds } from '../../../src/shared/kernels/risk-function.js';

/** Rows of five features between 0 and 1, each of its own image, with a defect where `isDefect` says so. */
function drawRows(count: number, seed: number, isDefect: (row: Float64Array) => boolean) {
  const random = createRandom(seed);
  const features = Float64Array.from({ length: 5 * count }, random.uniform);
  const labels = Uint8Array.from({ length: count }, (_, i) => Number(isDefect(features.subarray(5 * i, 5 * i + 5))));
  return { features, labels, groups: Int32Array.from(labels.keys()) };
}

const together = (row: Float64Array) => row[0]! > 0.7 && row[3]! > 0.6;
const either = (row: Float64Array) => row[1]! > 0.5 !== row[4]! > 0.5;

test.each([
  ['features that tell a defect only together', together],
  ['features of which one, not both, tells a defect', either],
])('%s are learned by boosted trees', (_, isDefect) => {
  const { model, comparison } = learnRisk(drawRows(300, 1, isDefect), 7);
  const { logistic, forest } = comparison;
  expect(model.kind).toBe('forest');
  expect(forest.auroc - logistic.auroc).toBeGreaterThan(logistic.spread);
  const unseen = drawRows(500, 2, isDefect);
  expect(auroc(riskLogOdds(model, unseen.features), unseen.labels)).toBeGreaterThan(0.97);
});

test('features that each tell their share are learned by a logistic regression', () => {
  const noise = createRandom(3);
  const rows = drawRows(300, 1, (row) => row[0]! + 2 * row[1]! + 0.3 * noise.normal() > 1.7);
  const { model, comparison } = learnRisk(rows, 7);
  expect(model.kind).toBe('logistic');
  expect(comparison.logistic.auroc).toBeGreaterThan(0.9);
  expect(comparison.logistic.spread).toBeGreaterThan(0);
});

test('trees that are better by less than the spread do not count, nor is chance taken for knowledge', () => {
  for (const seed of [1, 2]) {
    const noise = createRandom(100 + seed);
    const { model, comparison } = learnRisk(
      drawRows(120, seed, () => noise.uniform() < 0.4),
      seed,
    );
    const gain = comparison.forest.auroc - comparison.logistic.auroc;
    expect(model.kind).toBe(gain > comparison.logistic.spread ? 'forest' : 'logistic');
    expect(Math.abs(comparison.logistic.auroc - 0.5)).toBeLessThan(0.2);
    expect(Math.abs(comparison.forest.auroc - 0.5)).toBeLessThan(0.2);
  }
});

test('the same rows and seed give the same model', () => {
  const rows = drawRows(200, 4, either);
  expect(learnRisk(rows, 7)).toEqual(learnRisk(rows, 7));
});
