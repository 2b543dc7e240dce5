import { createRandom } from '../shared/kernels/random.js';

/** Numbers in [0, 1), the same for the same seeds on every machine. */
export type Random = () => number;

/** A generator of its own for each list of seeds (whole numbers below 1,000,003). */
export const seededRandom = (...seeds: number[]): Random =>
  createRandom(seeds.reduce((mixed, seed) => mixed * 1_000_003 + seed, 0)).uniform;

export const between = (random: Random, low: number, high: number): number => low + (high - low) * random();
export const pick = <T>(random: Random, choices: readonly T[]): T => choices[Math.floor(random() * choices.length)]!;

/** Independent values of mean 0 and variance 1, nearly normal: the sum of the four bytes of one random number. */
export function whiteNoise(random: Random, length: number): Float32Array {
  const noise = new Float32Array(length);
  for (let i = 0; i < length; i++) {
    const bits = random() * 2 ** 32;
    const sum = (bits & 255) + ((bits >>> 8) & 255) + ((bits >>> 16) & 255) + (bits >>> 24);
    noise[i] = (sum - 510) / 147.8;
  }
  return noise;
}

/** Each row of (H, W) averaged over `length` neighbours and brought back to variance 1; rows wrap round. */
export function blurRows(field: Float32Array, height: number, width: number, length: number): Float32Array {
  const blurred = new Float32Array(field.length);
  const scale = 1 / Math.sqrt(length);
  for (let y = 0; y < height; y++) {
    const row = y * width;
    let sum = 0;
    for (let x = 0; x < length; x++) sum += field[row + x]!;
    for (let x = 0; x < width; x++) {
      blurred[row + x] = sum * scale;
      sum += field[row + ((x + length) % width)]! - field[row + x]!;
    }
  }
  return blurred;
}

/** (H, W) in [-1, 1] that changes slowly: random values on a grid of `cells` points a side, joined smoothly. */
export function smoothNoise(random: Random, height: number, width: number, cells: number): Float32Array {
  const grid = Float32Array.from({ length: (cells + 1) ** 2 }, () => between(random, -1, 1));
  const columns = Array.from({ length: width }, (_, x) => gridPoint((x * (cells - 1)) / (width - 1)));
  const field = new Float32Array(height * width);
  for (let y = 0; y < height; y++) {
    const row = gridPoint((y * (cells - 1)) / (height - 1));
    const top = row.cell * (cells + 1);
    for (let x = 0; x < width; x++) {
      const { cell, share } = columns[x]!;
      const upper = grid[top + cell]! * (1 - share) + grid[top + cell + 1]! * share;
      const lower = grid[top + cells + 1 + cell]! * (1 - share) + grid[top + cells + 2 + cell]! * share;
      field[y * width + x] = upper * (1 - row.share) + lower * row.share;
    }
  }
  return field;
}

function gridPoint(position: number): { cell: number; share: number } {
  const cell = Math.floor(position);
  return { cell, share: smoothStep(0, 1, position - cell) };
}

/** 0 below `low`, 1 above `high`, smooth between. */
export function smoothStep(low: number, high: number, value: number): number {
  const share = Math.min(1, Math.max(0, (value - low) / (high - low)));
  return share * share * (3 - 2 * share);
}
