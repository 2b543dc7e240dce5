import { expect, test } from 'vitest';
import { f1Max } from '../../../src/shared/kernels/f1-max.js';
import { createRandom } from '../../../src/shared/kernels/random.js';
import { expectClose } from '../../helpers/arrays.js';
import { goldenCases } from '../../helpers/golden.js';

test.each(goldenCases('f1-max'))('golden case $name', (golden) => {
  const { f1, threshold } = f1Max(golden.float32('scores').data, golden.int64('labels').data)!;
  golden.check(golden.name.startsWith('only-') ? { threshold } : { f1_max: f1, threshold });
});

test('equals the largest F1 over all thresholds, the lowest of tied ones', () => {
  const random = createRandom(1);
  for (let round = 0; round < 100; round++) {
    const n = 1 + random.integer(30);
    const scores = Array.from({ length: n }, () => random.integer(9) - 4);
    const labels = Array.from({ length: n }, (_, i) => (i === 0 ? 1 : random.integer(2)));
    const want = { f1: -1, threshold: 0 };
    for (const threshold of scores.toSorted((a, b) => a - b)) {
      const count = (label: number, flagged: boolean) =>
        scores.filter((score, i) => labels[i] === label && score >= threshold === flagged).length;
      const f1 = (2 * count(1, true)) / (2 * count(1, true) + count(0, true) + count(1, false));
      if (f1 > want.f1) Object.assign(want, { f1, threshold });
    }
    const got = f1Max(scores, labels)!;
    expectClose([got.f1, got.threshold], [want.f1, want.threshold], {}, `round ${round}`);
  }
});

test('without anomalous scores F1 is 0, without normal ones 1', () => {
  expect(f1Max([1, 3, 2], [0, 0, 0])).toEqual({ f1: 0, threshold: 3 });
  expect(f1Max([1, 3, 2], [1, 1, 1])).toEqual({ f1: 1, threshold: 1 });
});

test('no scores at all have no F1', () => {
  expect(f1Max([], [])).toBeNull();
});
