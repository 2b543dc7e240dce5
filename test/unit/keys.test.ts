import { expect, test } from 'vitest';
import { imageKeyOf, inspectionFolder, inspectionIdOf } from '../../src/shared/keys.js';

test('an inspection id holds the UTC date of capture and names its folder', () => {
  const id = inspectionIdOf('images/line-1/2026-01-01/0-a.jpg', 'kol', 'v1', '2026-01-01T00:30:00+02:00');
  expect(id).toMatch(/^i-20251231-[0-9a-f]{24}$/);
  expect(inspectionFolder(id)).toBe(`inspections/2025-12-31/${id}`);
});

test('an inspection id depends on image, product and bundle version', () => {
  const of = (image: string, product: string, bundle: string) =>
    inspectionIdOf(image, product, bundle, '2026-01-01T00:00:00Z');
  expect(new Set([of('a', 'p', 'v1'), of('b', 'p', 'v1'), of('a', 'q', 'v1'), of('a', 'p', 'v2')]).size).toBe(4);
  expect(of('a', 'p', 'v1')).toBe(of('a', 'p', 'v1'));
});

test('an image key keeps the last 80 safe characters of the base name', () => {
  const key = (name: string) => imageKeyOf('line-1', '2026-01-01T00:00:00Z', new Uint8Array([1, 2]), name);
  expect(key('dir/Teil 7 ä.JPG')).toBe('images/line-1/2026-01-01/a12871fee210fb86-Teil_7__.JPG');
  expect(key('')).toMatch(/-image$/);
  expect(key(`${'x'.repeat(100)}.jpg`)).toMatch(/-x{76}\.jpg$/);
});
