import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { joinSmallRegions } from '../../../src/explain/segmentation/connected-regions.js';
import { toLab } from '../../../src/explain/segmentation/lab.js';
import { quickshift } from '../../../src/explain/segmentation/quickshift.js';
import type { Segmentation } from '../../../src/explain/segmentation/segmentation.js';
import { slic } from '../../../src/explain/segmentation/slic.js';
import { readNpy } from '../../../src/shared/npy.js';
import { expectClose } from '../../helpers/arrays.js';
import { goldenCase } from '../../helpers/golden.js';
import { adjustedRand, boundaryRecall } from '../../helpers/segment-agreement.js';

type Segment = (pixels: Uint8Array, H: number, W: number) => Segmentation;

const slicOf =
  (segments: number, sigma: number): Segment =>
  (pixels, H, W) =>
    slic(pixels, H, W, { segments, compactness: 10, sigma });
const quickshiftOf: Segment = (pixels, H, W) =>
  quickshift(pixels, H, W, { kernelSize: 4, maxDistance: 200, ratio: 0.2 });

/** Two halves, dark and light, with some grain. */
const halves = (H: number, W: number) =>
  Uint8Array.from({ length: H * W * 3 }, (_, i) => (Math.floor(i / 3) % W < W / 2 ? 60 : 190) + ((i * 7919) % 13));

describe('golden case segmentation', () => {
  // Labels are not compared: scikit-image breaks ties of quickshift by lot, and rounds other sums.
  const cases: [name: string, segment: Segment, segments: number, rand: number][] = [
    ['slic', slicOf(50, 1), 47, 0.98],
    ['slic-default', slicOf(100, 0), 104, 0.92],
    ['quickshift', quickshiftOf, 3, 1],
  ];
  test.each(cases)('%s has as many segments and nearly the same borders', (name, segment, segments, rand) => {
    const { data, shape } = goldenCase('segmentation', name).uint8('image');
    const [H, W] = shape as [number, number];
    const want = Int32Array.from(readNpy(readFileSync(`test/golden/segmentation/${name}/labels.npy`)).data, Number);
    const { labels, count } = segment(data, H, W);
    expect([count, new Set(want).size]).toEqual([segments, segments]);
    expect(adjustedRand(labels, want)).toBeGreaterThanOrEqual(rand);
    expect(boundaryRecall(labels, want, H, W, 1)).toBeGreaterThan(0.98);
  });
});

describe.each([
  ['SLIC', slicOf(30, 1)],
  ['quickshift', quickshiftOf],
])('%s', (_, segment) => {
  test('numbers every segment, in the order in which they begin, and finds the same ones again', () => {
    const pixels = halves(40, 60);
    const { labels, count } = segment(pixels, 40, 60);
    expect(labels).toHaveLength(2400);
    const firsts = Array.from({ length: count }, (_, label) => labels.indexOf(label));
    expect(firsts.every((first, label) => first >= 0 && (label === 0 || first > firsts[label - 1]!))).toBe(true);
    expect(Math.max(...labels)).toBe(count - 1);
    expectClose(segment(pixels, 40, 60).labels, labels);
  });

  test('keeps to the edge of what is dark and what is light', () => {
    const { labels, count } = segment(halves(40, 60), 40, 60);
    expect(count).toBeGreaterThan(1);
    const dark = new Float64Array(count);
    const light = new Float64Array(count);
    for (const [p, label] of labels.entries()) (p % 60 < 30 ? dark : light)[label]!++;
    const strayed = dark.reduce((sum, pixels, label) => sum + Math.min(pixels, light[label]!), 0);
    expect(strayed / labels.length).toBeLessThan(0.02);
  });

  test('takes images of one row, of one column and of one colour', () => {
    for (const [H, W] of [
      [1, 50],
      [50, 1],
      [1, 1],
    ] as const) {
      const { labels, count } = segment(halves(H, W), H, W);
      expect([labels.length, Math.max(...labels)]).toEqual([H * W, count - 1]);
    }
    expect(segment(new Uint8Array(30 * 30 * 3).fill(77), 30, 30).count).toBeGreaterThanOrEqual(1);
  });

  test('refuses pixels of another size', () => {
    expect(() => segment(new Uint8Array(10), 2, 2)).toThrowError(/Expected 12 values/);
  });
});

test('an even area is one segment of quickshift', () => {
  expect(quickshiftOf(new Uint8Array(30 * 30 * 3).fill(77), 30, 30).count).toBe(1);
});

test('more segments are asked for, more there are', () => {
  const pixels = halves(64, 64);
  const counts = [4, 16, 64, 256].map((segments) => slicOf(segments, 0)(pixels, 64, 64).count);
  expect(counts).toEqual(counts.toSorted((a, b) => a - b));
  expect(counts[0]).toBeLessThan(8);
  expect(counts[3]).toBeGreaterThan(128);
});

test('sRGB becomes CIELAB', () => {
  const lab = toLab(Float32Array.of(1, 1, 1, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0.5, 0.5, 0.5));
  // Values of the CIE formulas for white, black, red, blue and a grey (Lindbloom's calculator).
  const want = [100, 0, 0, 0, 0, 0, 53.24, 80.09, 67.2, 32.3, 79.19, -107.86, 53.39, 0, 0];
  expectClose(lab, want, { atol: 0.02 });
});

describe('regions', () => {
  test('that touch at a corner only are two', () => {
    const { count, labels } = joinSmallRegions(Int32Array.of(5, 7, 7, 5), 2, 2, 1, 4);
    expect([count, [...labels]]).toEqual([4, [0, 1, 2, 3]]);
  });

  test('below the smallest size join a neighbour, above the largest are cut', () => {
    const labels = Int32Array.of(1, 1, 1, 1, 2, 3, 3, 3, 3, 3, 3, 3);
    const joined = joinSmallRegions(labels, 1, 12, 2, 4);
    expect([...joined.labels]).toEqual([0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2]);
  });
});
