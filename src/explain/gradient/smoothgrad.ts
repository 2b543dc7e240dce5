import { pMapIterable } from 'p-map';
import { createRandom } from '../../shared/kernels/random.js';
import { type Differentiator, seedOf } from '../differentiator.js';
import { runsAtATime } from '../runs-at-a-time.js';

/**
 * SmoothGrad: the mean of dS / dx, sign kept, at x + noise. (Smilkov et al., arXiv:1706.03825, section 3.)
 *
 * @param noise arrays of the input's shape
 * @param targets class of each sample, (N)
 * @param report is told how many of the arrays are done
 * @returns of the input's shape
 */
export async function smoothGrad(
  { network, gradient }: Differentiator,
  x: Float32Array,
  noise: Iterable<Float32Array>,
  targets: readonly number[],
  report?: (done: number) => void,
): Promise<Float32Array<ArrayBuffer>> {
  const seed = seedOf(targets, network.classes);
  const sums = new Float64Array(x.length);
  const noisy = (each: Float32Array) => x.map((value, i) => value + each[i]!);
  let done = 0;
  for await (const each of pMapIterable(noise, (array) => gradient(noisy(array), seed), runsAtATime)) {
    for (let i = 0; i < sums.length; i++) sums[i]! += each[i]!;
    done++;
    report?.(done);
  }
  return Float32Array.from(sums, (sum) => sum / done);
}

export interface NoiseOptions {
  samples: number;
  /** Standard deviation as a part of the range, largest - smallest value, of each image. */
  noise: number;
  seed: number;
}

/** Gaussian noise for N images, one array after the other. */
export function* seededNoise(x: Float32Array, N: number, { samples, noise, seed }: NoiseOptions) {
  const random = createRandom(seed);
  const size = x.length / N;
  const deviations = Float64Array.from({ length: N }, (_, n) => noise * rangeOf(x.subarray(n * size, (n + 1) * size)));
  for (let sample = 0; sample < samples; sample++) {
    yield Float32Array.from({ length: x.length }, (_, i) => random.normal() * deviations[Math.floor(i / size)]!);
  }
}

function rangeOf(values: Float32Array): number {
  const [lowest, highest] = values.reduce<[number, number]>(
    ([low, high], value) => [Math.min(low, value), Math.max(high, value)],
    [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY],
  );
  return highest - lowest;
}
