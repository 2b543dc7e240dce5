import { describe, expect, test } from 'vitest';
import { exactQuantileMaps, histogramQuantileMaps, passesOf } from '../../../src/explain/quantile-maps.js';
import { quantile } from '../../../src/shared/kernels/quantile.js';
import { createRandom } from '../../../src/shared/kernels/random.js';
import { expectClose, float32 } from '../../helpers/arrays.js';
import { goldenCases } from '../../helpers/golden.js';

/** A source of maps that counts how often it is gone through. */
function stackOf(values: Float32Array, N: number) {
  const P = values.length / N;
  const source = {
    passes: 0,
    N,
    P,
    async *maps() {
      source.passes++;
      for (let n = 0; n < N; n++) yield values.subarray(n * P, (n + 1) * P);
    },
  };
  return source;
}

test.each(goldenCases('quantile-maps'))('golden case quantile-maps $name', async (golden) => {
  const { data, shape } = golden.float32('heatmaps');
  const quantiles = Array.from(golden.float32('quantiles').data, (q) => Number(q.toFixed(6)));
  golden.check({
    quantile_maps: await histogramQuantileMaps(stackOf(data, shape[0]!), quantiles, golden.params.bins!),
    exact: await exactQuantileMaps(stackOf(data, shape[0]!), quantiles),
  });
});

describe('quantile maps', () => {
  const random = createRandom(5);
  const values = float32(11 * 30, () => random.normal());
  const quantiles = [0, 0.1, 0.5, 0.97, 1];

  test('are those of each pixel alone', async () => {
    const want = quantiles.flatMap((q) =>
      Array.from({ length: 30 }, (_, p) =>
        quantile(
          float32(11, (n) => values[n * 30 + p]!),
          q,
        ),
      ),
    );
    expectClose(await exactQuantileMaps(stackOf(values, 11), quantiles), want, { atol: 1e-6 });
  });

  test('are the same in parts, and the maps are gone through once for each part', async () => {
    const whole = stackOf(values, 11);
    const inParts = stackOf(values, 11);
    const budgetBytes = 4 * 11 * 7;
    expectClose(await exactQuantileMaps(inParts, quantiles, budgetBytes), await exactQuantileMaps(whole, quantiles));
    expect([whole.passes, inParts.passes, passesOf(11, 30, budgetBytes)]).toEqual([1, 5, 5]);
    expect(passesOf(1_000_000, 30, 4)).toBe(30);
  });

  test('of a histogram are off by half a bin at most, after two passes', async () => {
    const stack = stackOf(values, 11);
    const exact = await exactQuantileMaps(stackOf(values, 11), quantiles);
    const coarse = await histogramQuantileMaps(stack, quantiles, 20);
    expect(stack.passes).toBe(2);
    for (let p = 0; p < 30; p++) {
      const width = (exact[4 * 30 + p]! - exact[p]!) / 20;
      for (let k = 0; k < 5; k++) {
        expect(Math.abs(coarse[k * 30 + p]! - exact[k * 30 + p]!)).toBeLessThanOrEqual(width / 2 + 1e-6);
      }
    }
  });

  test('of a single map are that map, and of its histogram within half of 1 / bins', async () => {
    const one = values.subarray(0, 30);
    expectClose(await exactQuantileMaps(stackOf(one, 1), [0.5]), one);
    expectClose(await histogramQuantileMaps(stackOf(one, 1), [0.5], 50), one, { atol: 0.0101 });
  });

  test('refuse another number of maps, or a map of another size', async () => {
    const short = { ...stackOf(values, 11), N: 12 };
    await expect(exactQuantileMaps(short, [0.5])).rejects.toThrowError(/Expected 12 values \(N\)/);
    await expect(histogramQuantileMaps(short, [0.5], 5)).rejects.toThrowError(/Expected 12 values \(N\)/);
    const other = { ...stackOf(values, 11), P: 31 };
    await expect(exactQuantileMaps(other, [0.5])).rejects.toThrowError(/Expected 31 values/);
    await expect(histogramQuantileMaps(other, [0.5], 5)).rejects.toThrowError(/Expected 31 values/);
  });
});
