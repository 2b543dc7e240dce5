import { expect, test } from 'vitest';
import { boxOfRegion, labelRegions } from '../../../src/shared/kernels/connected-region.js';
import { expectClose } from '../../helpers/arrays.js';

/** A picture in text: its digits as a map, everything else 0. */
function draw(...rows: string[]) {
  const W = rows[0]!.length;
  const map = Float32Array.from(rows.join(''), (sign) => Number(sign) || 0);
  return { map, H: rows.length, W };
}

test('the box holds the region of the peak and no other', () => {
  const { map, H, W } = draw(
    '5..7.', //
    '...9.',
    '..6..',
    '3...8',
  );
  expect(boxOfRegion(map, H, W, 5, 1 * W + 3)).toEqual([2, 0, 2, 3]); // 6 touches 9 at a corner
  expect(boxOfRegion(map, H, W, 7, 1 * W + 3)).toEqual([3, 0, 1, 2]); // at the level is inside
  expect(boxOfRegion(map, H, W, 0, 0)).toEqual([0, 0, W, H]);
  expect(boxOfRegion(map, H, W, 10, 3 * W + 4)).toEqual([4, 3, 1, 1]); // the peak alone, though below the level
});

test('neighbours do not reach around the border', () => {
  const { map, H, W } = draw('..1', '1..', '..1');
  expect(boxOfRegion(map, H, W, 1, 2)).toEqual([2, 0, 1, 1]);
  expect(boxOfRegion(map, H, W, 1, 3)).toEqual([0, 1, 1, 1]);
});

test('a region of a million pixels needs no recursion', () => {
  expect(boxOfRegion(new Float32Array(1_000_000).fill(1), 1000, 1000, 1, 500_500)).toEqual([0, 0, 1000, 1000]);
});

test('regions are labelled in the order of their first pixels', () => {
  const { map, H, W } = draw(
    '1..1', //
    '.1..',
    '...1',
    '1..1',
  );
  const { labels, sizes } = labelRegions(Uint8Array.from(map), H, W);
  expectClose(labels, [1, 0, 0, 2, 0, 1, 0, 0, 0, 0, 0, 3, 4, 0, 0, 3]);
  expect(sizes).toEqual([2, 1, 2, 1]);
});

test('lengths are checked', () => {
  expect(() => boxOfRegion(new Float32Array(5), 2, 3, 0, 0)).toThrowError(
    expect.objectContaining({ code: 'SHAPE_MISMATCH' }),
  );
  expect(() => labelRegions(new Uint8Array(5), 2, 3)).toThrowError(expect.objectContaining({ code: 'SHAPE_MISMATCH' }));
});
