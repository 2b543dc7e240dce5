import { pMapIterable } from 'p-map';
import { type Differentiator, seedOf } from '../differentiator.js';
import { runsAtATime } from '../runs-at-a-time.js';
import { gaussLegendre, trapezoid } from './quadrature.js';

export interface IntegratedGradientsOptions {
  /** Of the trapezoid rule, which takes steps + 1 points; of `gauss-legendre` the number of points. */
  steps: number;
  rule: 'trapezoid' | 'gauss-legendre';
}

export interface IntegratedGradients {
  /** (x - baseline) · averageGradient, of the input's shape. */
  attribution: Float32Array<ArrayBuffer>;
  averageGradient: Float32Array<ArrayBuffer>;
  /** (N): S(x) - S(baseline), which the attributions of a sample ought to sum to. */
  differences: Float64Array;
  /** (N): sum of the attributions - difference, what the steps have missed. */
  completenessGaps: Float64Array;
}

/**
 * Integrated gradients: (x - b) ∫ dS / dx at b + α (x - b), α from 0 to 1. (Sundararajan et al., arXiv:1703.01365, Eq. 1.)
 *
 * @param x of the input's shape
 * @param baseline b, of the input's shape
 * @param targets class of each sample, (N)
 * @param report is told how many of the points are done
 */
export async function integratedGradients(
  { network, gradient, scores }: Differentiator,
  x: Float32Array,
  baseline: Float32Array,
  targets: readonly number[],
  { steps, rule }: IntegratedGradientsOptions,
  report?: (done: number, total: number) => void,
): Promise<IntegratedGradients> {
  const { points, weights } = rule === 'trapezoid' ? trapezoid(steps) : gaussLegendre(steps);
  const seed = seedOf(targets, network.classes);
  const sums = new Float64Array(x.length);
  let done = 0;
  for await (const each of pMapIterable(points, (alpha) => gradient(between(baseline, x, alpha), seed), runsAtATime)) {
    const weight = weights[done]!;
    for (let i = 0; i < sums.length; i++) sums[i]! += weight * each[i]!;
    done++;
    report?.(done, points.length);
  }
  const averageGradient = Float32Array.from(sums);
  const attribution = Float32Array.from(sums, (sum, i) => (x[i]! - baseline[i]!) * sum);
  const [above, below] = [await scores(x), await scores(baseline)];
  const scoreAt = (all: Float32Array, n: number) => all[n * network.classes + targets[n]!]!;
  const differences = Float64Array.from(targets, (_, n) => scoreAt(above, n) - scoreAt(below, n));
  const completenessGaps = differences.map((difference, n) => sumOfSample(attribution, n, targets.length) - difference);
  return { attribution, averageGradient, differences, completenessGaps };
}

function between(baseline: Float32Array, x: Float32Array, alpha: number): Float32Array {
  const point = new Float32Array(x.length);
  for (let i = 0; i < point.length; i++) point[i] = baseline[i]! + alpha * (x[i]! - baseline[i]!);
  return point;
}

/** Sum of the values of sample n of N, in float64. */
export function sumOfSample(values: Float32Array, n: number, N: number): number {
  const size = values.length / N;
  let sum = 0;
  for (let i = n * size; i < (n + 1) * size; i++) sum += values[i]!;
  return sum;
}
