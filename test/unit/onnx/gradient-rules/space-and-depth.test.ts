import { expect, test } from 'vitest';
import type { Attribute } from '../../../../src/shared/onnx/graph-builder.js';
import { compareGradients } from '../../../helpers/gradient-check.js';

const moves: { op: string; input: number[]; attributes: Record<string, Attribute> }[] = [
  { op: 'DepthToSpace', input: [2, 8, 2, 3], attributes: { blocksize: 2 } },
  { op: 'DepthToSpace', input: [1, 18, 2, 1], attributes: { blocksize: 3, mode: 'CRD' } },
  { op: 'SpaceToDepth', input: [2, 2, 4, 6], attributes: { blocksize: 2 } },
];

for (const { op, input, attributes } of moves) {
  for (const opset of [11, 17, 21]) {
    test(`${op} of [${input}] ${JSON.stringify(attributes)}, opset ${opset}`, async () => {
      const { largestDifference } = await compareGradients({
        compose: (graph, [x]) => graph.add(op, [x!], attributes),
        dims: [input],
        opset,
      });
      expect(largestDifference).toBeLessThan(2e-3);
    });
  }
}
