import { describe, expect, test } from 'vitest';
import {
  assertEnoughDefects,
  cheapestThreshold,
  chooseThreshold,
  countedRate,
  missesOf,
} from '../../../src/fit/threshold.js';
import { f1Max } from '../../../src/shared/kernels/f1-max.js';
import { quantile } from '../../../src/shared/kernels/quantile.js';
import { createRandom } from '../../../src/shared/kernels/random.js';
import { wilsonInterval } from '../../../src/shared/kernels/wilson-interval.js';
import { thresholdRuleSchema } from '../../../src/shared/threshold-rule.js';

const random = createRandom(51);
const normals = (count: number, mean = 0) => Array.from({ length: count }, () => mean + random.normal());
const options = { thresholdFactor: 2, seed: 0 };
const flagged = (scores: number[], threshold: number) => scores.filter((score) => score >= threshold).length;

describe('robust', () => {
  test('lies so many spreads above the median', () => {
    const good = normals(31);
    const median = quantile(good, 0.5);
    const spread = quantile(good, 0.8413) - median;
    for (const thresholdFactor of [2, 2.5]) {
      const found = chooseThreshold({ good }, { rule: 'robust' }, { thresholdFactor, seed: 0 });
      expect(found).toMatchObject({ median, spread, thresholdRule: { rule: 'robust' } });
      expect(found.threshold).toBeCloseTo(median + thresholdFactor * spread, 12);
      expect(found.bestF1).toBeUndefined();
    }
  });

  test('expects the false alarms that it counts, with the interval of Wilson', () => {
    const good = normals(200);
    const { threshold, falseAlarms } = chooseThreshold({ good }, { rule: 'robust' }, options);
    const count = flagged(good, threshold);
    expect(count).toBeGreaterThan(0);
    expect(falseAlarms).toEqual({ rate: count / 200, interval: wilsonInterval(count, 200) });
    expect(countedRate([1, 2, 3, 4], 3).rate).toBe(0.5);
  });
});

describe('false alarms', () => {
  test('come near the wanted rate among images that it has not seen', () => {
    const [good, others] = [normals(2000), normals(20_000)];
    for (const rate of [0.2, 0.05, 0.02, 0.01]) {
      const found = chooseThreshold({ good }, { rule: 'false-alarms', rate }, options);
      const [low, high] = found.falseAlarms.interval;
      const came = flagged(others, found.threshold) / others.length;
      expect([found.falseAlarms.rate, low < rate, high > rate]).toEqual([rate, true, true]);
      expect(Math.abs(came / rate - 1)).toBeLessThan(0.25);
      expect(thresholdRuleSchema.parse(found.thresholdRule)).toMatchObject({ rate, tail: { images: 200 } });
    }
  });

  test('are hardly moved by odd images, however odd they are', () => {
    const good = normals(500);
    const choice = { rule: 'false-alarms', rate: 0.01 } as const;
    const clean = chooseThreshold({ good }, choice, options);
    const thresholds = [20, 2000].map((oddness) => {
      const odd = [...good.slice(5), ...Array<number>(5).fill(oddness)];
      return chooseThreshold({ good: odd }, choice, options).threshold;
    });
    expect(thresholds[0]).toBe(thresholds[1]);
    expect(Math.abs(thresholds[0]! - clean.threshold)).toBeLessThan(0.5 * clean.spread);
  });
});

test.each([
  { rule: 'robust' },
  { rule: 'false-alarms', rate: 0.01 },
  { rule: 'cost', costMiss: 1, costAlarm: 1 },
] as const)('by $rule the threshold lies above the median, also where all images are alike', (choice) => {
  const alike = chooseThreshold({ good: Array(12).fill(0.5), defects: Array(5).fill(0.5) }, choice, options);
  expect(alike.threshold).toBeGreaterThan(alike.median);
  expect(alike.spread).toBe(1e-9);
});

describe('cost', () => {
  const spread = { median: 0, spread: 1 };
  const cheapest = (good: number[], defects: number[], costMiss: number, costAlarm: number) =>
    cheapestThreshold({ good, defects }, { costMiss, costAlarm }, spread);

  test('is the smallest of all thresholds that there are', () => {
    const [good, defects] = [normals(60), normals(30, 2)];
    for (const [costMiss, costAlarm] of [
      [20, 1],
      [1, 1],
      [1, 20],
    ] as const) {
      const costOf = (threshold: number) =>
        costMiss * (defects.length - flagged(defects, threshold)) + costAlarm * flagged(good, threshold);
      const tried = Array.from({ length: 2000 }, (_, i) => 0.001 + i / 250).map(costOf);
      expect(costOf(cheapest(good, defects, costMiss, costAlarm))).toBeLessThanOrEqual(Math.min(...tried));
    }
  });

  test('costly misses lower the threshold', () => {
    const [good, defects] = [normals(60), normals(30, 2)];
    expect(cheapest(good, defects, 20, 1)).toBeLessThan(cheapest(good, defects, 1, 20));
  });

  test('lies in the middle between two scores, of several as cheap the lowest', () => {
    expect(cheapest([-1, 0.2, 1], [5, 6], 20, 1)).toBe(3);
    expect(cheapest([-1, 0.2, 3], [2, 4], 1, 1)).toBeCloseTo(1.1, 12); // 3.5 is as cheap
    expect(cheapest([-1, 1, 1], [1, 1, 4], 1, 1)).toBe(0.5); // equal scores have no middle
  });

  test('lies beyond all scores where nothing is worth an alarm, and above the median where all is', () => {
    expect(cheapest([-1, 0.2, 3], [2, 4], 1, 1000)).toBe(3.5);
    expect(cheapest([-1, 0.2, 5], [2, 4], 1, 1000)).toBe(6);
    expect(cheapest([-1, 0.2, 3], [-0.5, 4], 1000, 1)).toBe(3.5); // no threshold above the median finds the first
  });

  test('needs five defects, and only this rule does', () => {
    expect(() => assertEnoughDefects({ rule: 'cost', costMiss: 20, costAlarm: 1 }, 4)).toThrow(
      expect.objectContaining({ code: 'TOO_FEW_IMAGES', message: expect.stringMatching(/at least 5 .* received 4/) }),
    );
    assertEnoughDefects({ rule: 'cost', costMiss: 20, costAlarm: 1 }, 5);
    assertEnoughDefects({ rule: 'robust' }, 0);
  });
});

test('with defects the largest F1 is told, with what it would do', () => {
  const [good, defects] = [normals(60), normals(30, 2)];
  const found = chooseThreshold({ good, defects }, { rule: 'robust' }, options);
  const { f1, threshold } = f1Max([...good, ...defects], [...good.map(() => 0), ...defects.map(() => 1)])!;
  expect(found.bestF1).toEqual({
    ...{ f1, threshold },
    falseAlarms: flagged(good, threshold),
    misses: 30 - flagged(defects, threshold),
  });
  expect(found.threshold).toBe(chooseThreshold({ good }, { rule: 'robust' }, options).threshold);
});

test('misses are counted where there are defects to miss', () => {
  expect(missesOf({ good: [1], defects: [1, 2, 3] }, 2)).toBe(1);
  expect(missesOf({ good: [1] }, 2)).toBeUndefined();
});
