import { PatchlineError } from '../shared/errors.js';
import { bootstrapRateInterval, fitTail, thresholdFor } from '../shared/kernels/exponential-tail.js';
import { f1Max } from '../shared/kernels/f1-max.js';
import { wilsonInterval } from '../shared/kernels/wilson-interval.js';
import { type ScoreSpread, spreadOf } from '../shared/patchcore/image-score.js';
import type { BestF1, HeldOutScores, Rate, ThresholdRule } from '../shared/threshold-rule.js';
import { fewestLabelled } from './defect-images.js';

/** The rule that a fit is asked to find its threshold by. */
export type ThresholdChoice =
  | { rule: 'robust' }
  | { rule: 'false-alarms'; rate: number }
  | { rule: 'cost'; costMiss: number; costAlarm: number };

export const robustRule: ThresholdChoice = { rule: 'robust' };

export interface ThresholdOptions {
  /** Of the rule `robust`: threshold = median + factor · spread. */
  thresholdFactor: number;
  /** Of the bootstrap. */
  seed: number;
}

/** What images are judged by, and what may be expected of it. */
export interface ChosenThreshold extends ScoreSpread {
  threshold: number;
  thresholdRule: ThresholdRule;
  falseAlarms: Rate;
  bestF1?: BestF1;
}

/**
 * Finds the threshold in scores of images that were held out; it lies above the median of the good ones. False alarms are
 * expected as counted among these, with Wilson's interval, or, by the rule `false-alarms`, at the wanted rate with the interval
 * of a bootstrap. The rule `cost` needs defects.
 */
export function chooseThreshold(
  heldOut: HeldOutScores,
  choice: ThresholdChoice,
  { thresholdFactor, seed }: ThresholdOptions,
): ChosenThreshold {
  const good = Float64Array.from(heldOut.good);
  const { median, spread } = spreadOf(good);
  const bestF1 = heldOut.defects && bestF1Of(heldOut.good, heldOut.defects);
  const found = { median, spread, ...(bestF1 && { bestF1 }) };
  if (choice.rule === 'false-alarms') {
    const sorted = good.toSorted();
    const tail = fitTail(sorted);
    const threshold = aboveMedian(thresholdFor(choice.rate, sorted, tail), found);
    const interval = bootstrapRateInterval(threshold, good, seed);
    return {
      ...found,
      threshold,
      thresholdRule: { ...choice, tail },
      falseAlarms: { rate: choice.rate, interval },
    };
  }
  const threshold =
    choice.rule === 'robust' ? median + thresholdFactor * spread : cheapestThreshold(heldOut, choice, found);
  return { ...found, threshold, thresholdRule: choice, falseAlarms: countedRate(heldOut.good, threshold) };
}

/** What a miss costs can only be weighed where there is something to miss. Throws TOO_FEW_IMAGES. */
export function assertEnoughDefects({ rule }: ThresholdChoice, defects: number): void {
  if (rule !== 'cost' || defects >= fewestLabelled) return;
  throw new PatchlineError(
    'TOO_FEW_IMAGES',
    `Expected at least ${fewestLabelled} readable images of defects, in train/<defect> or reviewed anomalous, for --cost-miss and --cost-alarm but received ${defects}`,
  );
}

/** Where all images are alike, no tail goes beyond the median. */
const aboveMedian = (threshold: number, { median, spread }: ScoreSpread): number =>
  threshold > median ? threshold : median + spread;

const countFrom = (scores: readonly number[], threshold: number): number =>
  scores.filter((score) => score >= threshold).length;

/** The share of images that reach a threshold, with Wilson's interval. */
export function countedRate(scores: readonly number[], threshold: number): Rate {
  const flagged = countFrom(scores, threshold);
  return { rate: flagged / scores.length, interval: wilsonInterval(flagged, scores.length)! };
}

/**
 * The threshold with the smallest costMiss · misses + costAlarm · false alarms, counted over images as many as there are of each
 * kind: how rare defects are in production has to be in the costs. It lies midway between neighbouring scores, so that it hangs
 * on neither; of several as cheap the lowest, which misses least; never at or below the median, where severity has no meaning.
 */
export function cheapestThreshold(
  { good, defects = [] }: HeldOutScores,
  { costMiss, costAlarm }: { costMiss: number; costAlarm: number },
  { median, spread }: ScoreSpread,
): number {
  const above = [...good, ...defects].filter((score) => score > median).sort((a, b) => a - b);
  const levels = [median, ...above, (above.at(-1) ?? median) + 2 * spread];
  let best = { cost: Number.POSITIVE_INFINITY, threshold: median + spread };
  for (let i = 1; i < levels.length; i++) {
    if (levels[i] === levels[i - 1]) continue;
    const threshold = (levels[i - 1]! + levels[i]!) / 2;
    const misses = defects.length - countFrom(defects, threshold);
    const cost = costMiss * misses + costAlarm * countFrom(good, threshold);
    if (cost < best.cost) best = { cost, threshold };
  }
  return best.threshold;
}

function bestF1Of(good: readonly number[], defects: readonly number[]): BestF1 {
  const labels = [...good.map(() => 0), ...defects.map(() => 1)];
  const { f1, threshold } = f1Max([...good, ...defects], labels)!;
  const misses = defects.length - countFrom(defects, threshold);
  return { f1, threshold, falseAlarms: countFrom(good, threshold), misses };
}

/** Labelled defects that a threshold lets pass; undefined where there are none. */
export const missesOf = ({ defects }: HeldOutScores, threshold: number): number | undefined =>
  defects && defects.length - countFrom(defects, threshold);
