import { describe, expect, test } from 'vitest';
import { planDefects } from '../../../src/fit/defect-images.js';
import { foldsOf } from '../../../src/fit/memory-banks.js';

const numbers = (count: number) => Array.from({ length: count }, (_, index) => index);

describe('synthetic defects', () => {
  test.each([
    [5, 100],
    [40, 120],
    [100, 100],
    [300, 300],
  ])('of %i images are %i, as many on each image', (images, defects) => {
    const plans = planDefects(numbers(images), foldsOf(images, 5, 0), 0);
    const uses = numbers(images).map((image) => plans.filter(({ on }) => on === image).length);
    expect(plans).toHaveLength(defects);
    expect(uses).toEqual(uses.map(() => defects / images));
  });

  test('are cut from images of the same fold, not always the same one', () => {
    const images = numbers(200).filter((image) => image % 3 !== 0);
    const foldOf = foldsOf(200, 5, 7);
    const plans = planDefects(images, foldOf, 7);
    for (const { on, from } of plans) {
      expect(foldOf[from]).toBe(foldOf[on]);
      expect(images).toContain(from);
    }
    expect(new Set(plans.map(({ from }) => from)).size).toBeGreaterThan(50);
    expect(plans.filter(({ on, from }) => on === from).length).toBeLessThan(20);
  });

  test('are the same for the same seed, and no two alike', () => {
    const foldOf = foldsOf(50, 5, 0);
    const plans = planDefects(numbers(50), foldOf, 1);
    expect(planDefects(numbers(50), foldOf, 1)).toEqual(plans);
    expect(planDefects(numbers(50), foldOf, 2)).not.toEqual(plans);
    expect(new Set(plans.map(({ seed }) => seed)).size).toBe(plans.length);
  });
});
