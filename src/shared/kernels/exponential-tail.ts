import { PatchlineError } from '../errors.js';
import { quantile } from './quantile.js';
import { createRandom } from './random.js';

/** The upper tail of N scores: beyond `start` lie `images` of them, and ever fewer, by a factor of e for each `scale`. */
export interface Tail {
  start: number;
  scale: number;
  images: number;
}

const tailShare = 0.1;
const fewestInTail = 10;
/** Share of the tail that counts by number alone. */
const censoredShare = 0.2;
const smallestScale = 1e-9;

/**
 * Peaks over a threshold (Pickands, Annals of Statistics 3 (1975) 119) with an exponential tail: the upper tenth of the scores,
 * at least 10 and at most half of them. Its scale is the maximum likelihood one where the largest fifth of the tail is censored
 * (Epstein and Sobel, JASA 48 (1953) 486): these count, but not how far out they lie, since among good images a few odd ones do.
 *
 * A generalised Pareto tail follows the largest scores, which are the odd ones.
 *
 * @param sorted (N) ascending @throws SHAPE_MISMATCH below 2 scores
 */
export function fitTail(sorted: Float64Array): Tail {
  const N = sorted.length;
  if (N < 2) throw new PatchlineError('SHAPE_MISMATCH', `Expected at least 2 scores but received ${N}`);
  const images = Math.min(Math.max(fewestInTail, Math.ceil(tailShare * N)), Math.floor(N / 2));
  const start = sorted[N - images - 1]!;
  const censored = Math.floor(censoredShare * images);
  const measured = images - censored;
  let sum = 0;
  for (let i = N - images; i < N - censored; i++) sum += sorted[i]! - start;
  sum += censored * (sorted[N - censored - 1]! - start);
  return { start, scale: Math.max(sum / measured, smallestScale), images };
}

/** The share of images with a score of `threshold` or more: counted up to the start of the tail, by the tail beyond. */
export function rateAbove(threshold: number, sorted: Float64Array, { start, scale, images }: Tail): number {
  const N = sorted.length;
  if (threshold > start) return (images / N) * Math.exp((start - threshold) / scale);
  let reached = 0;
  while (reached < N && sorted[N - 1 - reached]! >= threshold) reached++;
  return reached / N;
}

/** The threshold that a share `rate` of the images reaches: a quantile of the scores before the tail, by the tail beyond. */
export function thresholdFor(rate: number, sorted: Float64Array, { start, scale, images }: Tail): number {
  const share = images / sorted.length;
  return rate < share ? start + scale * Math.log(share / rate) : quantile(sorted, 1 - rate);
}

const resamples = 1000;

/**
 * The 95 % interval of the share of images that reach a threshold: how it varies where the tail is fitted to resampled scores
 * (percentile bootstrap, Efron 1979).
 *
 * @param scores (N) in any order
 */
export function bootstrapRateInterval(
  threshold: number,
  scores: Float64Array,
  seed: number,
): [low: number, high: number] {
  const random = createRandom(seed);
  const sorted = scores.toSorted();
  const N = sorted.length;
  const times = new Uint32Array(N);
  const resample = new Float64Array(N);
  const rates = Float64Array.from({ length: resamples }, () => {
    // How often each score is drawn: put down in their order, they need not be sorted again.
    times.fill(0);
    for (let drawn = 0; drawn < N; drawn++) times[random.integer(N)]!++;
    for (let i = 0, end = 0; i < N; i++) {
      resample.fill(sorted[i]!, end, end + times[i]!);
      end += times[i]!;
    }
    return rateAbove(threshold, resample, fitTail(resample));
  });
  return [quantile(rates, 0.025), quantile(rates, 0.975)];
}
