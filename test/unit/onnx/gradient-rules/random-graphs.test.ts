import { expect, test } from 'vitest';
import { compareGradients } from '../../../helpers/gradient-check.js';
import { randomGraph, randomGraphDims } from '../../../helpers/random-graphs.js';

for (let seed = 0; seed < 30; seed++) {
  const { names, compose } = randomGraph(seed);
  test(`gradient of the random graph ${seed}: ${names.join(', ')}`, async () => {
    const { largestDifference } = await compareGradients({ compose, dims: [randomGraphDims(2)], seed });
    expect(largestDifference).toBeLessThan(5e-3);
  });
}
