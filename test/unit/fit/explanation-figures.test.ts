import { expect, test } from 'vitest';
import { beatsChance, drawnLike, summariseMethods } from '../../../src/fit/explanation-figures.js';
import type { ExplanationFigures } from '../../../src/fit/image-explanations.js';

const figures = (changes: Partial<ExplanationFigures>): ExplanationFigures => ({
  ...{ energyInMask: null, pointingGame: null, deletion: 0.5, insertion: 0.5, flipping: 0.5, road: 0 },
  ...{ severityDeletion: null, ...changes },
});
const image = (own: Partial<ExplanationFigures>, pixels = {}, regions = {}) => ({
  'grad-cam': figures(own),
  'random-pixels': figures(pixels),
  'random-regions': figures(regions),
});

test('means, intervals and gains over what was drawn, image by image', () => {
  const images = [
    image({ deletion: 0.2, road: 0.3 }, { deletion: 0.3 }, { deletion: 0.6, road: 0.1 }),
    image({ deletion: 0.4, road: 0.1 }, { deletion: 0.3 }, { deletion: 0.6, road: 0.3 }),
  ];
  const { 'grad-cam': own, 'random-regions': drawn } = summariseMethods(images);
  expect(own!.deletion).toMatchObject({ images: 2, mean: expect.closeTo(0.3, 12) });
  expect(own!.deletion!.interval![1] - 0.3).toBeCloseTo(1.959964 * Math.sqrt(0.02 / 2), 6);
  // Lower deletion is better, higher ROAD is.
  expect(own!.deletion!.gains!['random-regions'].mean).toBeCloseTo(0.3, 12);
  expect(own!.deletion!.gains!['random-pixels'].mean).toBeCloseTo(0, 12);
  expect(own!.road!.gains!['random-regions'].mean).toBeCloseTo(0, 12);
  expect(own!.road!.gains!['random-pixels'].mean).toBeCloseTo(0.2, 12);
  expect(drawn!.deletion).toMatchObject({ gains: null });
  expect(drawn!.deletion!.mean).toBeCloseTo(0.6, 12);
});

test('where only some images have masks, these alone count', () => {
  const masked = (hit: number) => ({ pointingGame: hit, energyInMask: 0.25 });
  const images = [
    image(masked(1), masked(0), masked(0)),
    image({}),
    image(masked(1), masked(1), masked(0)),
    image(masked(0), masked(0), masked(0)),
  ];
  const { pointingGame, energyInMask, severityDeletion } = summariseMethods(images)['grad-cam']!;
  expect(pointingGame).toMatchObject({ images: 3, mean: 2 / 3 });
  expect(pointingGame!.interval).toEqual([expect.closeTo(0.2077, 4), expect.closeTo(0.9385, 4)]); // Wilson
  expect(pointingGame!.gains!['random-pixels'].mean).toBeCloseTo(1 / 3, 12);
  expect(energyInMask).toMatchObject({ images: 3, interval: [0.25, 0.25] });
  expect(severityDeletion).toBeNull();
});

test('a method beats chance where it surely does better than the drawn map of its kind', () => {
  const gainsOf = (regions: number[]) =>
    summariseMethods(regions.map((deletion) => image({ deletion: 0.3 }, { deletion: 0.2 }, { deletion })))['grad-cam']!;
  expect(beatsChance('grad-cam', gainsOf([0.5, 0.6, 0.5]).deletion!)).toBe(true);
  expect(beatsChance('saliency', gainsOf([0.5, 0.6, 0.5]).deletion!)).toBe(false);
  expect(beatsChance('grad-cam', gainsOf([0.9, 0.1, 0.5]).deletion!)).toBe(false);
  expect(beatsChance('grad-cam', gainsOf([0.5]).deletion!)).toBe(false); // of one image nothing is sure
  expect(['anomaly-map', 'lime', 'cam', 'gradient', 'deep-shap'].map(drawnLike)).toEqual([
    ...new Array(3).fill('random-regions'),
    ...new Array(2).fill('random-pixels'),
  ]);
});
