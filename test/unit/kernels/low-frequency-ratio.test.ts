import { expect, test } from 'vitest';
import { lowFrequencyRatio } from '../../../src/shared/kernels/low-frequency-ratio.js';
import { createRandom } from '../../../src/shared/kernels/random.js';
import { goldenCases } from '../../helpers/golden.js';

test.each(goldenCases('low-frequency-ratio'))('golden case $name', (golden) => {
  const { data, shape } = golden.uint8('grey');
  golden.check({ ratio_without_dc: lowFrequencyRatio(data, shape[0]!, shape[1]!) }, ['ratio']);
});

/** The definition: every bin of the DFT, the disc picked out afterwards. */
function plainRatio(grey: Uint8Array, H: number, W: number): number {
  let [low, all] = [0, 0];
  for (let u = 0; u < H; u++) {
    for (let v = 0; v < W; v++) {
      if (u === 0 && v === 0) continue;
      let [re, im] = [0, 0];
      for (let i = 0; i < H * W; i++) {
        const angle = 2 * Math.PI * ((u * Math.floor(i / W)) / H + (v * (i % W)) / W);
        re += grey[i]! * Math.cos(angle);
        im -= grey[i]! * Math.sin(angle);
      }
      const power = re ** 2 + im ** 2;
      all += power;
      if (Math.min(u, H - u) ** 2 + Math.min(v, W - v) ** 2 <= (Math.min(H, W) / 8) ** 2) low += power;
    }
  }
  return low / all;
}

test.each([
  [16, 16],
  [17, 24],
  [24, 19],
  [33, 9],
  [8, 40],
])('equals the whole DFT on %i x %i', (H, W) => {
  const random = createRandom(H * W);
  const grey = Uint8Array.from({ length: H * W }, (_, i) => 3 * (i % W) + 2 * Math.floor(i / W) + random.integer(90));
  const ratio = lowFrequencyRatio(grey, H, W);
  expect(ratio).toBeGreaterThan(0.05);
  expect(ratio).toBeCloseTo(plainRatio(grey, H, W), 10);
});

test('a constant picture has no texture, whatever its size', () => {
  expect(lowFrequencyRatio(new Uint8Array(24 * 24).fill(77), 24, 24)).toBe(0);
  expect(lowFrequencyRatio(new Uint8Array(1500 * 700).fill(253), 1500, 700)).toBe(0);
});

test('brightness and contrast change nothing', () => {
  const random = createRandom(4);
  const grey = Uint8Array.from({ length: 32 * 40 }, () => random.integer(60));
  const brighter = grey.map((value) => 2 * value + 100);
  expect(lowFrequencyRatio(brighter, 32, 40)).toBeCloseTo(lowFrequencyRatio(grey, 32, 40), 12);
});

test('the picture has to have its size', () => {
  expect(() => lowFrequencyRatio(new Uint8Array(11), 3, 4)).toThrowError(
    expect.objectContaining({ code: 'SHAPE_MISMATCH' }),
  );
});
