import { test } from 'vitest';
import { positionStatistics } from '../../../src/fit/position-statistics.js';
import { createRandom } from '../../../src/shared/kernels/random.js';
import { expectClose, float32 } from '../../helpers/arrays.js';

const random = createRandom(41);
const grid = { height: 3, width: 4 };
const P = 12;

/** The recipe's weights for sigma 0.5, the border sample repeated and then mirrored. */
const weights = [0.0003, 0.1065, 0.7864, 0.1065, 0.0003];
function blur(values: Float64Array): Float64Array {
  const at = (i: number, n: number) => (i < 0 ? -1 - i : i >= n ? 2 * n - 1 - i : i);
  return Float64Array.from({ length: P }, (_, p) => {
    const [y, x] = [Math.floor(p / 4), p % 4];
    let sum = 0;
    for (let v = -2; v <= 2; v++) {
      for (let u = -2; u <= 2; u++) {
        sum += weights[v + 2]! * weights[u + 2]! * values[at(y + v, 3) * 4 + at(x + u, 4)]!;
      }
    }
    return sum;
  });
}

const mean = (values: number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
const variance = (values: number[]) => mean(values.map((value) => (value - mean(values)) ** 2));

test.each([5, 60])('means and scales of %i images follow the recipe', (N) => {
  const heldOut = float32(N * P, (i) => 0.3 + 0.1 * (i % P) + (0.02 + 0.01 * (i % P)) * random.normal());
  const column = (p: number) => Array.from({ length: N }, (_, n) => heldOut[n * P + p]!);
  const positions = Array.from({ length: P }, (_, p) => p);
  const shrunk = (values: Float64Array, overall: number) =>
    values.map((value) => (N * value + 10 * overall) / (N + 10));
  const all = [...heldOut];
  const m = shrunk(blur(Float64Array.from(positions, (p) => mean(column(p)))), mean(all));
  const v = shrunk(blur(Float64Array.from(positions, (p) => variance(column(p)))), variance(all));
  const deviations = v.map(Math.sqrt);
  const { means, scales } = positionStatistics(heldOut, grid);
  expectClose(means, m, { rtol: 1e-3 }, 'means');
  expectClose(
    scales,
    deviations.map((value) => value + 0.25 * mean([...deviations])),
    { rtol: 1e-3 },
    'scales',
  );
});

test('distances that never vary have the smallest scale', () => {
  const { means, scales } = positionStatistics(new Float32Array(8 * P).fill(0.5), grid);
  expectClose(means, new Float32Array(P).fill(0.5), { atol: 1e-6 });
  expectClose(scales, new Float32Array(P).fill(1e-6));
});
