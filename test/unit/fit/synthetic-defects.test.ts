import { expect, test } from 'vitest';
import { syntheticDefect, syntheticKinds } from '../../../src/fit/synthetic-defects.js';
import { createRandom } from '../../../src/shared/kernels/random.js';
import { expectClose } from '../../helpers/arrays.js';

const [H, W] = [96, 128];

/** A surface with stripes and noise, in colours or grey. */
function surface(seed: number, colour = 0): Uint8Array {
  const random = createRandom(seed);
  const pixels = new Uint8Array(H * W * 3);
  for (let i = 0; i < H * W; i++) {
    const level = 110 + 20 * Math.sin((i % W) / 3) + random.integer(16);
    for (let c = 0; c < 3; c++) pixels[3 * i + c] = level + colour * (c - 1);
  }
  return pixels;
}

const [good, other] = [surface(1), surface(2)];
const draws = Array.from({ length: 120 }, (_, seed) => syntheticDefect(good, other, H, W, createRandom(seed)));

/** The mean difference of the image from the original over the mask, signed, in grey levels. */
function contrastOf({ image, mask }: (typeof draws)[number], original: Uint8Array): number {
  const covered = [...mask.keys()].filter((i) => mask[i] === 1);
  return covered.reduce((sum, i) => sum + image[3 * i]! - original[3 * i]!, 0) / covered.length;
}

test('the same seed gives the same defect, another seed another, and the inputs stay as they are', () => {
  const before = [good.slice(), other.slice()];
  expect(syntheticDefect(good, other, H, W, createRandom(5))).toEqual(draws[5]);
  expect(draws[6]!.image).not.toEqual(draws[5]!.image);
  expect([good, other]).toEqual(before);
});

test('all kinds occur, and the mask covers what was changed', () => {
  expect(new Set(draws.map(({ kind }) => kind))).toEqual(new Set(syntheticKinds));
  for (const { image, mask, kind } of draws) {
    let [inside, outside, untouched] = [0, 0, 0];
    for (let i = 0; i < H * W; i++) {
      const changed = [0, 1, 2].some((c) => image[3 * i + c] !== good[3 * i + c]);
      if (mask[i] === 1 && changed) inside++;
      if (mask[i] === 1 && !changed) untouched++;
      if (mask[i] === 0 && changed) outside++;
    }
    expect(inside, kind).toBeGreaterThan(0);
    expect(untouched, kind).toBeLessThanOrEqual(0.35 * inside + 1); // by chance the same level
    expect(outside, kind).toBeLessThanOrEqual(2 * inside + 12); // the soft border
    expect(inside / (H * W), kind).toBeLessThan(0.25);
  }
});

test('contrasts go from barely visible to plain, both ways, and more often to the former', () => {
  const contrasts = draws.map((draw) => contrastOf(draw, good));
  const sizes = contrasts.map(Math.abs).sort((a, b) => a - b);
  expect(sizes[0]).toBeGreaterThan(4);
  expect(sizes[60]).toBeLessThan(35);
  expect(sizes.at(-1)).toBeGreaterThan(50);
  expect(sizes.at(-1)).toBeLessThan(90);
  const brighter = contrasts.filter((contrast) => contrast > 0).length;
  expect(brighter).toBeGreaterThan(36);
  expect(brighter).toBeLessThan(84);
});

test.each([
  ['the image itself', good, good],
  ['black on black', new Uint8Array(H * W * 3), new Uint8Array(H * W * 3)],
  ['white on white', new Uint8Array(H * W * 3).fill(255), new Uint8Array(H * W * 3).fill(255)],
  ['white on black', new Uint8Array(H * W * 3), new Uint8Array(H * W * 3).fill(255)],
])('a texture of any brightness can be seen: %s', (_, image, texture) => {
  for (let seed = 0; seed < 40; seed++) {
    const defect = syntheticDefect(image, texture, H, W, createRandom(seed));
    expect(Math.abs(contrastOf(defect, image)), `${defect.kind} of seed ${seed}`).toBeGreaterThan(4);
  }
});

test('scars are long and thin, patches are not', () => {
  const spread = ({ mask }: (typeof draws)[number]) => {
    const covered = [...mask.keys()].filter((i) => mask[i] === 1);
    const [rows, columns] = [covered.map((i) => Math.floor(i / W)), covered.map((i) => i % W)];
    const diagonal = Math.hypot(
      Math.max(...rows) - Math.min(...rows) + 1,
      Math.max(...columns) - Math.min(...columns) + 1,
    );
    return diagonal ** 2 / covered.length;
  };
  const typical = (kind: string) => {
    const spreads = draws.filter((draw) => draw.kind === kind).map(spread);
    return spreads.sort((a, b) => a - b)[Math.floor(spreads.length / 2)]!;
  };
  expect(typical('scar')).toBeGreaterThan(8);
  expect(typical('patch')).toBeLessThan(4);
});

test('a grey image stays grey, a coloured one gets a tint', () => {
  const tinted = ({ image, mask }: (typeof draws)[number], difference: number) =>
    [...mask.keys()].some((i) => mask[i] === 1 && Math.abs(image[3 * i]! - image[3 * i + 2]! - difference) > 1);
  expect(draws.some((draw) => tinted(draw, 0))).toBe(false);
  const coloured = [surface(1, 30), surface(2, 30)] as const;
  const results = draws.map((_, seed) => syntheticDefect(...coloured, H, W, createRandom(seed)));
  expect(results.filter((result) => tinted(result, -60)).length).toBeGreaterThan(60);
});

test('any size of image will do, and lengths are checked', () => {
  const dot = syntheticDefect(Uint8Array.of(90, 90, 90), Uint8Array.of(90, 90, 90), 1, 1, createRandom(1));
  expectClose(dot.mask, [1]);
  expect(() => syntheticDefect(good, other.subarray(3), H, W, createRandom(1))).toThrowError(
    expect.objectContaining({ code: 'SHAPE_MISMATCH' }),
  );
  expect(() => syntheticDefect(good.subarray(3), other, H, W, createRandom(1))).toThrowError(
    expect.objectContaining({ code: 'SHAPE_MISMATCH' }),
  );
});
