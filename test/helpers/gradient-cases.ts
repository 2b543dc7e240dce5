import { expect, test } from 'vitest';
import { type CheckedGraph, compareGradients } from './gradient-check.js';

export interface GradientCase extends Omit<CheckedGraph, 'compose' | 'opset' | 'order'> {
  compose(...args: [...Parameters<CheckedGraph['compose']>, opset: number]): string;
  opsets?: readonly number[];
}

/**
 * One test by version of the operator set, and one of the second derivative, for which the result is squared, so that all nodes
 * that a rule appends are differentiated, also those of a linear operator.
 */
export function testGradients(
  name: string,
  { compose, opsets = [11, 13, 21], step = 1e-2, ...checked }: GradientCase,
): void {
  for (const opset of opsets) {
    test(`${name}, opset ${opset}`, async () => {
      const once = {
        ...checked,
        step,
        opset,
        compose: (...args: Parameters<CheckedGraph['compose']>) => compose(...args, opset),
      };
      expect((await compareGradients(once)).largestDifference).toBeLessThan(2e-3);
    });
  }
  const opset = opsets.at(-1)!;
  test(`${name}, differentiated twice`, async () => {
    const squared: CheckedGraph['compose'] = (graph, inputs) => {
      const result = compose(graph, inputs, opset);
      return graph.add('Mul', [result, result]);
    };
    const { largestDifference } = await compareGradients({ ...checked, step, opset, compose: squared, order: 2 });
    expect(largestDifference).toBeLessThan(5e-3);
  });
}
