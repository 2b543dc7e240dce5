import { expect, test } from 'vitest';
import {
  coverUninspected,
  inspectedPatches,
  type Polygon,
  regionMask,
} from '../../../src/shared/kernels/region-mask.js';

const rows = (mask: Uint8Array, W: number) =>
  Array.from({ length: mask.length / W }, (_, y) => mask.subarray(y * W, (y + 1) * W).join(''));
const rectangle = (left: number, top: number, right: number, bottom: number): Polygon => [
  [left, top],
  [right, top],
  [right, bottom],
  [left, bottom],
];

test('without polygons everything is inspected', () => {
  expect(rows(regionMask({ roi: [], ignore: [] }, 2, 3), 3)).toEqual(['111', '111']);
});

test('a region is inside any ROI and outside whatever is ignored', () => {
  const roi = [rectangle(0, 0, 0.5, 1), rectangle(0.75, 0, 1, 0.5)];
  const ignore = [rectangle(0, 0.5, 0.25, 1)];
  expect(rows(regionMask({ roi, ignore }, 4, 4), 4)).toEqual(['1101', '1101', '0100', '0100']);
});

test('corners are fractions of width and height, in this order', () => {
  expect(rows(regionMask({ roi: [rectangle(0, 0, 1, 0.5)], ignore: [] }, 2, 4), 4)).toEqual(['1111', '0000']);
});

test('a triangle, and an outline that crosses itself, by the even-odd rule', () => {
  const triangle: Polygon = [
    [0, 0],
    [1, 0],
    [0, 1],
  ];
  expect(rows(regionMask({ roi: [triangle], ignore: [] }, 3, 3), 3)).toEqual(['110', '100', '000']);
  const bowTie: Polygon = [
    [0, 0],
    [1, 1],
    [1, 0],
    [0, 1],
  ];
  expect(rows(regionMask({ roi: [bowTie], ignore: [] }, 4, 8), 8)).toEqual([
    '10000001',
    '11100111',
    '11100111',
    '10000001',
  ]);
});

test('what is not inspected takes the mean colour of what is', () => {
  const pixels = Uint8Array.of(10, 0, 100, 20, 0, 50, 255, 255, 255);
  coverUninspected(pixels, Uint8Array.of(1, 1, 0));
  expect([...pixels]).toEqual([10, 0, 100, 20, 0, 50, 15, 0, 75]);
});

test('a patch is inspected if half of its pixels are, in a narrow region if one is', () => {
  const mask = Uint8Array.of(1, 1, 1, 0);
  expect([...inspectedPatches(mask, 2, 2, 1)]).toEqual([0, 1, 2]);
  expect([...inspectedPatches(Uint8Array.of(1, 1, 1, 0, 1, 0, 0, 0), 1, 2, 2)]).toEqual([0]);
  expect([...inspectedPatches(Uint8Array.of(0, 0, 1, 0, 0, 0, 0, 0), 1, 2, 2)]).toEqual([1]);
});
