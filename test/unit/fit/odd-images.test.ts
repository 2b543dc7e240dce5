import sharp from 'sharp';
import { expect, test } from 'vitest';
import { findOddImages } from '../../../src/fit/odd-images.js';
import { pictureGridJpeg } from '../../../src/shared/plots/picture-grid.js';

const spread = { median: 1, spread: 0.5, threshold: 2 };

test('odd images lie three spreads above the median, worst first, whatever the threshold', () => {
  const scores = [1, 2.4, 2.5, 0.5, 9, 3];
  expect(findOddImages(scores, spread)).toEqual([
    { image: 4, severity: 800 },
    { image: 5, severity: 200 },
    { image: 2, severity: 150 },
  ]);
  expect(findOddImages(scores, { ...spread, threshold: 6 }).map(({ image }) => image)).toEqual([4, 5, 2]);
});

test('of images that are all alike none is odd', () => {
  expect(findOddImages([1, 1, 1 + 5e-9], { median: 1, spread: 1e-9, threshold: 1 + 2e-9 })).toEqual([]);
});

test('their picture shows each in the form of its original, with its name in ink below it', async () => {
  const jpeg = await sharp({ create: { width: 64, height: 64, channels: 3, background: '#00ff00' } })
    .jpeg()
    .toBuffer();
  const picture = { jpeg, height: 100, width: 200, name: `${'long-'.repeat(20)}name.jpg`, detail: 'severity 300' };
  const titles = { title: 'Odd', subtitle: 'images' };
  const grid = await pictureGridJpeg(titles, Array(8).fill(picture));
  const { data, info } = await sharp(grid).raw().toBuffer({ resolveWithObject: true });
  expect(info.width).toBe(16 + 6 * 216); // six in a row
  expect(info.height).toBe(16 + 56 + 2 * (100 + 44 + 16));
  const isGreen = (x: number, y: number) => {
    const [red, green] = data.subarray(3 * (y * info.width + x));
    return green! - red! > 100;
  };
  const [left, top] = [16, 72];
  const corners = [isGreen(left + 2, top + 2), isGreen(left + 197, top + 97), isGreen(left + 2, top - 4)];
  expect(corners).toEqual([true, true, false]);
  expect(isGreen(left + 216 + 100, top + 160 + 50)).toBe(true); // the eighth
  expect(isGreen(left + 2 * 216 + 100, top + 160 + 50)).toBe(false);
  const inked = (x: number, y: number) => data[3 * (y * info.width + x)]! < 128;
  const columns = Array.from({ length: 216 }, (_, x) => x).filter((x) =>
    Array.from({ length: 16 }, (_, y) => y).some((y) => inked(8 + x, top + 104 + y)),
  );
  expect(columns.length).toBeGreaterThan(100);
  expect([Math.min(...columns) >= 7, Math.max(...columns) <= 209]).toEqual([true, true]); // cut to its own picture
});
