import { expect, test } from 'vitest';
import {
  crossValidatedAuroc,
  heldOutLogOdds,
  logisticLearner,
  stratifiedFolds,
} from '../../../src/shared/kernels/cross-validation.js';
import { createRandom } from '../../../src/shared/kernels/random.js';

const labels = Uint8Array.from({ length: 60 }, (_, i) => (i % 3 === 0 ? 1 : 0));
const random = createRandom(11);
const noise = Float32Array.from({ length: 60 * 40 }, () => random.normal());

test('every fold has its share of each class, and another seed another draw', () => {
  const folds = stratifiedFolds(labels, 5, 1);
  for (let fold = 0; fold < 5; fold++) {
    const members = [...folds.keys()].filter((i) => folds[i] === fold);
    expect(members.filter((i) => labels[i] === 1)).toHaveLength(4);
    expect(members.filter((i) => labels[i] === 0)).toHaveLength(8);
  }
  expect(stratifiedFolds(labels, 5, 1)).toEqual(folds);
  expect(stratifiedFolds(labels, 5, 2)).not.toEqual(folds);
});

test('rows of one group share a fold', () => {
  const groups = Int32Array.from({ length: 60 }, (_, i) => i % 20);
  const folds = stratifiedFolds(labels, 5, 1, groups);
  expect(folds.every((fold, i) => fold === folds[i % 20])).toBe(true);
  expect(Array.from({ length: 5 }, (_, fold) => folds.filter((f) => f === fold).length)).toEqual([12, 12, 12, 12, 12]);
});

test('noise that a model learns by heart is not told apart when held out, a real difference is', () => {
  const options = { learn: logisticLearner({ ridge: 1e-3 }), folds: 5, seed: 3 };
  expect(Math.abs(crossValidatedAuroc(noise, labels, options) - 0.5)).toBeLessThan(0.2);
  const different = noise.map((value, i) => (i % 40 < 4 ? value + 2 * labels[Math.floor(i / 40)]! : value));
  expect(crossValidatedAuroc(different, labels, options)).toBeGreaterThan(0.9);
});

test('a copy of a row gives it away unless both are of one group', () => {
  // 30 rows of noise, twice, each with a label of its own: only having seen the copy helps.
  const twice = Float32Array.from(noise, (_, i) => noise[i % (30 * 40)]!);
  const drawn = Uint8Array.from({ length: 60 }, (_, i) => ((i % 30) % 2 === 0 ? 1 : 0));
  const groups = Int32Array.from({ length: 60 }, (_, i) => i % 30);
  const options = { learn: logisticLearner({ ridge: 1e-3 }), folds: 5, seed: 3 };
  expect(crossValidatedAuroc(twice, drawn, options)).toBeGreaterThan(0.8);
  expect(crossValidatedAuroc(twice, drawn, { ...options, groups })).toBeLessThan(0.7);
});

test('a row has no part in the model that judges it', () => {
  const folds = stratifiedFolds(labels, 5, 1);
  const odds = heldOutLogOdds(noise, labels, folds, logisticLearner({ ridge: 0.01 }));
  const otherLabel = labels.map((label, i) => (i === 7 ? 1 - label : label));
  const changed = heldOutLogOdds(noise, otherLabel, folds, logisticLearner({ ridge: 0.01 }));
  expect(odds.map((value, i) => (value === changed[i] ? 1 : 0))).toEqual(
    Float64Array.from(folds, (fold) => (fold === folds[7] ? 1 : 0)),
  );
});

test('a class within one fold cannot be validated', () => {
  expect(() =>
    crossValidatedAuroc(noise, new Uint8Array(60).fill(1, 0, 1), {
      learn: logisticLearner({ ridge: 1 }),
      folds: 5,
      seed: 1,
    }),
  ).toThrowError(expect.objectContaining({ code: 'TOO_FEW_IMAGES' }));
});
