import { expect, test } from 'vitest';
import { compareGradients } from '../../../helpers/gradient-check.js';

const broadcasts = [
  { a: [2, 3], b: [2, 3] },
  { a: [2, 3], b: [3] },
  { a: [2, 1, 4], b: [3, 1] },
  { a: [2, 3], b: [] },
  { a: [1], b: [2, 3, 1] },
];

for (const op of ['Add', 'Sub', 'Mul']) {
  for (const { a, b } of broadcasts) {
    for (const opset of [11, 17, 21]) {
      test(`${op} of [${a}] and [${b}], opset ${opset}`, async () => {
        const compose = (graph: Parameters<Parameters<typeof compareGradients>[0]['compose']>[0], inputs: string[]) =>
          graph.add(op, inputs);
        expect((await compareGradients({ compose, dims: [a, b], opset })).largestDifference).toBeLessThan(2e-3);
      });
    }
  }
}
