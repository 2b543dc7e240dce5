import { expect, test } from 'vitest';
import { figuresOf } from '../../../src/fit/evaluate.js';
import type { JudgedImage } from '../../../src/fit/evaluate-images.js';
import type { Bundle } from '../../../src/shared/bundle.js';
import { wilsonInterval } from '../../../src/shared/kernels/wilson-interval.js';
import { judgedImage } from '../../helpers/judged-images.js';

const bundle = { product: 'kol', version: 'v3', threshold: 1, input: { height: 2, width: 3 } } as Bundle;
const figures = (images: JudgedImage[]) => figuresOf({ images, skipped: [], warnings: [], seconds: 2 }, { bundle });

const map = (...values: number[]) => ({ anomalyMap: Float32Array.from(values) });
const mask = (...values: number[]) => ({ mask: Uint8Array.from(values) });
const good = [judgedImage(0.1, map(0, 1, 2, 3, 4, 5)), judgedImage(0.2), judgedImage(1.5), judgedImage(0.4)];
const cracks = [
  judgedImage(0.3, { ...map(9, 9, 0, 0, 0, 0), ...mask(1, 1, 0, 0, 0, 0) }, 'crack'),
  judgedImage(2, {}, 'crack'),
];
const dents = [judgedImage(3, { ...map(0, 0, 0, 0, 0, 2.5), ...mask(0, 0, 0, 0, 0, 1) }, 'dent')];

test('what the threshold of the bundle gives is counted, not the best in hindsight', () => {
  const evaluation = figures([...good, ...cracks, ...dents]);
  expect(evaluation).toMatchObject({ product: 'kol', bundle: 'v3', images: 7, threshold: 1, imagesPerSecond: 3.5 });
  expect(evaluation.confusion).toEqual({ goodPassed: 3, falseAlarms: 1, defectsFound: 2, misses: 1 });
  expect([evaluation.falseAlarmRate, evaluation.missRate]).toEqual([1 / 4, 1 / 3]);
  expect(evaluation.falseAlarmInterval).toEqual(wilsonInterval(1, 4));
  expect(evaluation.missInterval).toEqual(wilsonInterval(1, 3));
  expect(evaluation.f1Max).toBe(4 / 5); // at 2, which finds two of three and raises no false alarm
});

test('areas are those of scores, of the classifier and of the risk', () => {
  const evaluation = figures([...good, ...cracks, ...dents]);
  // Of 4 x 3 pairs the crack of 0.3 loses to the good images of 1.5 and 0.4.
  expect(evaluation.imageAuroc).toBe(10 / 12);
  expect(evaluation.classifierAuroc).toBe(10 / 12);
  expect(evaluation.riskAuroc).toBeCloseTo(2 / 12, 12);
});

test('each kind of defect stands against the good images, its pixels against theirs and its own', () => {
  const { perDefect, pixelAuroc } = figures([...dents, ...good, ...cracks]);
  expect(Object.keys(perDefect)).toEqual(['crack', 'dent']);
  expect(perDefect.crack).toMatchObject({ images: 2, misses: 1, missRate: 1 / 2, missInterval: wilsonInterval(1, 2) });
  expect(perDefect.crack!.imageAuroc).toBe(6 / 8);
  expect(perDefect.dent).toMatchObject({ images: 1, misses: 0, missRate: 0, imageAuroc: 1 });
  // 24 pixels of good images and 5 of its own; the crack without a mask counts for nothing.
  expect(perDefect.crack!.pixelAuroc).toBe(1);
  expect(perDefect.dent!.pixelAuroc).toBeCloseTo(26 / 29, 12);
  expect(pixelAuroc).toBeCloseTo((33 + 33 + 30) / 99, 12);
});

test('what cannot be had is null', () => {
  const onlyGood = figures(good);
  expect(onlyGood).toMatchObject({ imageAuroc: null, pixelAuroc: null, aupro: null, f1Max: null, perDefect: {} });
  expect(onlyGood).toMatchObject({ missRate: null, missInterval: null, falseAlarmRate: 1 / 4 });
  const onlyBad = figures([judgedImage(2, {}, 'crack')]);
  expect(onlyBad).toMatchObject({ imageAuroc: null, falseAlarmRate: null, falseAlarmInterval: null, missRate: 0 });
  expect(onlyBad.perDefect.crack).toMatchObject({ imageAuroc: null, pixelAuroc: null });
});
