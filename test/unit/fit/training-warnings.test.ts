import { expect, test } from 'vitest';
import { type TrainingFindings, trainingWarnings } from '../../../src/fit/training-warnings.js';

const numbers = (count: number) => [...Array(count).keys()];
function warningsOf(images: number, changes: Partial<TrainingFindings> = {}) {
  return trainingWarnings({
    names: numbers(images).map((image) => `${image}.jpg`),
    skipped: [],
    firstOf: Int32Array.from(numbers(images)),
    choice: { rule: 'robust' },
    oddImages: [],
    ...changes,
  });
}
const pairs = (images: number) => Int32Array.from(numbers(images), (image) => image - (image % 2));

const few = (says: RegExp) => ({ code: 'FEW_TRAINING_IMAGES', message: expect.stringMatching(says) });

test('a hundred different images are enough', () => {
  expect(warningsOf(100)).toEqual([]);
});

test('fewer are told with what to expect, below twenty with how many more would do', () => {
  expect(warningsOf(99)).toEqual([few(/^Fitted from 99 images\. Of 100 pairs .* about 86 where .* about 92 and 98$/)]);
  expect(warningsOf(20)).toEqual([few(/about 82 where .* about 92 and 98$/)]);
  expect(warningsOf(13)).toEqual([few(/about 78 .*; below 20 no threshold can be trusted, 7 more would do$/)]);
});

test('duplicates count once', () => {
  const [first, duplicates] = warningsOf(26, { firstOf: pairs(26) });
  expect(first).toEqual(few(/^Fitted from 26 images, 13 of them different\. .* 7 more would do$/));
  expect(duplicates).toEqual({
    code: 'DUPLICATE_IMAGES',
    message:
      '13 of 26 images show the same as another, so that 13 are different; 20 would do: ' +
      '1.jpg as 0.jpg, 3.jpg as 2.jpg, 5.jpg as 4.jpg, 7.jpg as 6.jpg, 9.jpg as 8.jpg, and 8 more',
  });
  const enough = warningsOf(200, { firstOf: pairs(200) });
  expect(enough.map(({ code }) => code)).toEqual(['DUPLICATE_IMAGES']);
  expect(enough[0]!.message).toContain('100 are different; the rest adds nothing');
});

test('a rate that no image is as rare as is an extrapolation', () => {
  const codesOf = (images: number, rate: number, firstOf = Int32Array.from(numbers(images))) =>
    warningsOf(images, { choice: { rule: 'false-alarms', rate }, firstOf }).map(({ code }) => code);
  expect(codesOf(200, 0.005)).toEqual([]);
  expect(codesOf(199, 0.005)).toEqual(['FALSE_ALARMS_EXTRAPOLATED']);
  expect(codesOf(300, 0.005, pairs(300))).toEqual(['DUPLICATE_IMAGES', 'FALSE_ALARMS_EXTRAPOLATED']);
  const [warning] = warningsOf(100, { choice: { rule: 'false-alarms', rate: 0.003 } });
  expect(warning!.message).toMatch(/Of 100 good images .* 0\.3 % .*; 334 images would do/);
});

test('odd images are named, worst first', () => {
  const oddImages = [
    { image: 7, severity: 300 },
    { image: 2, severity: 160 },
  ];
  const [warning] = warningsOf(100, { oddImages });
  expect(warning).toMatchObject({
    code: 'ODD_IMAGES',
    message: expect.stringMatching(/^2 training .*: 7\.jpg, 2\.jpg$/),
  });
});
