import { expect, test } from 'vitest';
import { auroc } from '../../../src/shared/kernels/auroc.js';
import { createRandom } from '../../../src/shared/kernels/random.js';
import { rocCurve } from '../../../src/shared/kernels/roc-curve.js';
import { expectClose } from '../../helpers/arrays.js';
import { goldenCases } from '../../helpers/golden.js';

test.each(goldenCases('auroc'))('golden case $name', (golden) => {
  const curve = rocCurve(golden.float32('scores').data, golden.int64('labels').data)!;
  golden.check({ fpr: curve.falsePositiveRates, tpr: curve.truePositiveRates }, ['average_precision', 'auroc']);
});

test('the area under its lines is the AUROC, ties included', () => {
  const random = createRandom(3);
  for (let round = 0; round < 30; round++) {
    const n = 2 + random.integer(40);
    const scores = Float32Array.from({ length: n }, () => random.integer(9) - 4);
    const labels = Uint8Array.from({ length: n }, (_, i) => (i < 2 ? i : random.integer(2)));
    const { falsePositiveRates: x, truePositiveRates: y } = rocCurve(scores, labels)!;
    let area = 0;
    for (let i = 1; i < x.length; i++) area += ((x[i]! - x[i - 1]!) * (y[i]! + y[i - 1]!)) / 2;
    expectClose([area], [auroc(scores, labels)!], { atol: 1e-12 }, `round ${round}`);
  }
});

test('one class alone has no curve', () => {
  expect(rocCurve([1, 2], [0, 0])).toBeNull();
  expect(rocCurve([1, 2], [1, 1])).toBeNull();
});
