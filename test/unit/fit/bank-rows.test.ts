import { expect, test } from 'vitest';
import { chooseBankRows, selectionDims } from '../../../src/fit/bank-rows.js';
import { snapToGrid } from '../../../src/fit/grid-distances.js';
import { greedyCoreset } from '../../../src/shared/kernels/greedy-coreset.js';
import { nearestNeighbors } from '../../../src/shared/kernels/nearest-neighbors.js';
import { createRandom, randomProjection } from '../../../src/shared/kernels/random.js';
import { expectClose, float32 } from '../../helpers/arrays.js';

const [S, dims, rows] = [900, 24, 40];
const random = createRandom(17);
const vectors = float32(S * dims, (i) => random.normal() / (1 + (i % dims) / 4));
/** Every vector but each tenth: those are of images that are held out. */
const patches = Int32Array.from({ length: S }, (_, place) => place).filter((place) => place % 10 !== 0);

function choose(largestSet: number, onProgress: (done: number) => void = () => {}) {
  return chooseBankRows(vectors, patches, { dims, rows, seed: 4, largestSet, onProgress });
}

const take = (values: Float32Array, places: ArrayLike<number>, width: number) =>
  float32(places.length * width, (i) => values[places[Math.floor(i / width)]! * width + (i % width)]!);

/** What the plain algorithm takes of some vectors in the projection, from ten random ones. */
function plainly(among: Int32Array, wanted: number, projection: Float32Array, starts: number[]): Int32Array {
  const points = float32(among.length * selectionDims, (i) => {
    const [place, k] = [among[Math.floor(i / selectionDims)]!, i % selectionDims];
    let sum = 0;
    for (let dim = 0; dim < dims; dim++) sum += vectors[place * dims + dim]! * projection[dim * selectionDims + k]!;
    return sum;
  });
  snapToGrid(points, selectionDims);
  return greedyCoreset(points, selectionDims, wanted, { rows: starts }).index.map((index) => among[index]!);
}

test('chooses what the plain algorithm takes in the random projection', async () => {
  const generator = createRandom(4);
  const projection = randomProjection(dims, selectionDims, generator);
  const starts = [...generator.permutation(patches.length).subarray(0, 10)];
  expectClose(await choose(patches.length), plainly(patches, rows, projection, starts));
});

test('of too many patches it takes twice the rows wanted from each part, then the rows from these', async () => {
  const generator = createRandom(4);
  const projection = randomProjection(dims, selectionDims, generator);
  const startsAmong = (count: number) => [...generator.permutation(count).subarray(0, 10)];
  const union = [0, 270, 540].flatMap((from) => [
    ...plainly(patches.subarray(from, from + 270), 2 * rows, projection, startsAmong(270)),
  ]);
  const expected = plainly(Int32Array.from(union), rows, projection, startsAmong(union.length));
  expectClose(await choose(300), expected);
});

/** How far the farthest patch lies from a bank. */
function radiusOf(bank: Int32Array): number {
  const { distance } = nearestNeighbors(take(vectors, patches, dims), take(vectors, bank, dims), dims, 1);
  return Math.max(...distance);
}

test('a bank chosen in parts leaves no patch much farther away than one chosen at once', async () => {
  expect(radiusOf(await choose(300))).toBeLessThan(1.15 * radiusOf(await choose(patches.length)));
});

test.each([300, S])('tells its progress up to the end, choosing from %i at once', async (largestSet) => {
  const told: number[] = [];
  await choose(largestSet, (done) => told.push(done));
  expect(told).toEqual(told.toSorted((a, b) => a - b));
  expect(told[0]).toBeGreaterThan(0);
  expect(told.at(-1)).toBe(1);
});

test('keeps all patches where there are no more than wanted', async () => {
  const few = patches.subarray(0, rows);
  const options = { dims, rows, seed: 4, largestSet: 10, onProgress() {} };
  expectClose(await chooseBankRows(vectors, few, options), few);
});
