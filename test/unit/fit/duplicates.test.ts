import { describe, expect, test } from 'vitest';
import { findDuplicates, foldsOfDistinct } from '../../../src/fit/duplicates.js';
import { foldsOf } from '../../../src/fit/memory-banks.js';
import { createRandom } from '../../../src/shared/kernels/random.js';

const input = { height: 32, width: 64 };
const random = createRandom(17);
const picture = (): Uint8Array => Uint8Array.from({ length: 3 * 32 * 64 }, () => random.integer(200) + 20);
/** With every pixel brighter or darker by `levels` at random, but for a share of them. */
const changed = (of: Uint8Array, levels: number, share = 1): Uint8Array =>
  of.map((value) => (random.uniform() < share ? value + (random.integer(2) === 0 ? levels : -levels) : value));

describe('duplicates', () => {
  test('are the same pixels, or nearly', () => {
    const [a, b, c] = [picture(), picture(), picture()];
    const images = [a, b, Uint8Array.from(a), c, changed(b, 1, 0.4), changed(a, 1, 0.4)];
    expect([...findDuplicates(images, input)]).toEqual([0, 1, 0, 3, 1, 0]);
  });

  test('are not images of equal brightness, nor those that differ by noise', () => {
    const a = picture();
    const mixed = Uint8Array.from({ length: a.length }, (_, i) => a[(i + 300) % a.length]!);
    const blocks = a.map((value, i) => value + (i % 2 === 0 ? 3 : -3)); // the means of blocks stay as they are
    expect([...findDuplicates([a, mixed, blocks, changed(a, 1)], input)]).toEqual([0, 1, 2, 3]);
  });

  test('are compared where they are inspected', () => {
    const region = {
      roi: [
        [
          [0, 0],
          [0.25, 0],
          [0.25, 0.25],
          [0, 0.25],
        ],
      ] as [number, number][][],
      ignore: [],
    };
    const a = new Uint8Array(3 * 32 * 64).fill(100);
    const other = Uint8Array.from(a);
    for (let y = 0; y < 8; y++) for (let x = 0; x < 3 * 16; x++) other[y * 3 * 64 + x] = 104;
    expect([...findDuplicates([a, other], input)]).toEqual([0, 0]); // 4 levels in a sixteenth of all pixels
    expect([...findDuplicates([a, other], { ...input, region })]).toEqual([0, 1]);
  });
});

describe('folds', () => {
  test('hold duplicates out together, and deal what is different evenly', () => {
    const firstOf = Int32Array.from({ length: 120 }, (_, image) => (image % 3 === 0 ? image : image - (image % 3)));
    const { foldOf, folds } = foldsOfDistinct(firstOf, 3);
    expect(folds).toBe(20); // of 40 different images
    for (const [image, first] of firstOf.entries()) expect(foldOf[image]).toBe(foldOf[first]);
    const sizes = Array.from({ length: folds }, (_, fold) => foldOf.filter((of) => of === fold).length);
    expect(sizes).toEqual(Array(20).fill(6));
  });

  test('are those of all images where none is there twice', () => {
    const { foldOf, folds } = foldsOfDistinct(Int32Array.from(Array(70).keys()), 3);
    expect(folds).toBe(5);
    expect([...foldOf]).toEqual([...foldsOf(70, 5, 3)]);
  });

  test('are those of all images too where fewer than five are different', () => {
    const { foldOf, folds } = foldsOfDistinct(Int32Array.of(0, 0, 0, 3, 0, 3), 3);
    expect(folds).toBe(6);
    expect([...foldOf].sort()).toEqual([0, 1, 2, 3, 4, 5]);
  });
});
