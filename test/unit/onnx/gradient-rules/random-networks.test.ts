import { expect, test } from 'vitest';
import { pairs, sumsOf } from '../../../helpers/completeness.js';
import { compareGradients } from '../../../helpers/gradient-check.js';
import { randomNetwork, randomNetworkDims } from '../../../helpers/random-networks.js';

for (let seed = 0; seed < 40; seed++) {
  const { names, opset, compose } = randomNetwork(seed);
  test(`gradient of the random network ${seed}, opset ${opset}: ${names.join(', ')}`, async () => {
    const { largestDifference } = await compareGradients({ compose, dims: [randomNetworkDims(1)], seed, opset });
    expect(largestDifference).toBeLessThan(5e-3);
  });
}

for (let seed = 100; seed < 130; seed++) {
  const { names, opset, compose } = randomNetwork(seed, { hasKinks: true });
  test(`completeness of the random network ${seed}, opset ${opset}: ${names.join(', ')}`, async () => {
    const { attributed, changed, samples, references } = await sumsOf(
      compose,
      randomNetworkDims(2 * pairs),
      seed,
      opset,
    );
    for (const [pair, sum] of attributed.entries()) {
      expect(Math.abs(sum - changed[pair]!) / (1 + Math.abs(changed[pair]!))).toBeLessThan(1e-3);
    }
    expect(Math.max(...samples.map((each, i) => Math.abs(each - references[i]!)))).toBeLessThan(1e-5);
  });
}
