import { expect, test } from 'vitest';
import { auroc } from '../../../src/shared/kernels/auroc.js';
import { createRandom } from '../../../src/shared/kernels/random.js';
import { expectClose } from '../../helpers/arrays.js';
import { goldenCases } from '../../helpers/golden.js';

test.each(goldenCases('auroc'))('golden case $name', (golden) => {
  golden.check({ auroc: auroc(golden.float32('scores').data, golden.int64('labels').data)! }, [
    'average_precision',
    'fpr',
    'tpr',
  ]);
});

const random = createRandom(1);
/** Scores of few values, so that there are ties, and both classes. */
const draw = (n: number) => ({
  scores: Float32Array.from({ length: n }, () => random.integer(12) - 5),
  labels: Uint8Array.from({ length: n }, (_, i) => (i < 2 ? i : random.integer(2))),
});

test('equals the count of pairs', () => {
  for (let round = 0; round < 50; round++) {
    const { scores, labels } = draw(2 + random.integer(40));
    let [wins, pairs] = [0, 0];
    scores.forEach((anomalous, i) => {
      scores.forEach((normal, j) => {
        if (labels[i] !== 1 || labels[j] !== 0) return;
        pairs++;
        wins += anomalous > normal ? 1 : anomalous === normal ? 0.5 : 0;
      });
    });
    expectClose([auroc(scores, labels)!], [wins / pairs], { atol: 1e-12 }, `round ${round}`);
  }
});

test('negated scores give 1 - AUROC', () => {
  const { scores, labels } = draw(500);
  expectClose(
    [
      auroc(
        scores.map((score) => -score),
        labels,
      )!,
    ],
    [1 - auroc(scores, labels)!],
    { atol: 1e-12 },
  );
});

test('the order of the scores, a growing function of them and the sign of zero change nothing', () => {
  const { scores, labels } = draw(300);
  const order = random.permutation(300);
  const want = [auroc(scores, labels)!];
  expectClose(
    [
      auroc(
        Float32Array.from(order, (i) => scores[i]!),
        Uint8Array.from(order, (i) => labels[i]!),
      )!,
    ],
    want,
  );
  expectClose([auroc(Float64Array.from(scores, Math.exp), labels)!], want);
  expect(auroc([-0, 0], [1, 0])).toBe(0.5);
});

test('one class alone has no AUROC', () => {
  expect(auroc([1, 2], [0, 0])).toBeNull();
  expect(auroc([1, 2], [1, 1])).toBeNull();
});

test('NaN and a missing label are SHAPE_MISMATCH', () => {
  expect(() => auroc([1, Number.NaN], [0, 1])).toThrowError('received NaN at 1 of 2');
  expect(() => auroc([1, 2], [0])).toThrowError(expect.objectContaining({ code: 'SHAPE_MISMATCH' }));
});
