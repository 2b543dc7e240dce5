import { expect, test } from 'vitest';
import { snapToGrid } from '../../../src/fit/coreset.js';
import { buildBanks, foldsOf } from '../../../src/fit/memory-banks.js';
import { spacingOf } from '../../../src/fit/spacing.js';
import { createCompute } from '../../../src/shared/compute.js';
import { greedyCoreset } from '../../../src/shared/kernels/greedy-coreset.js';
import { createRandom, randomProjection } from '../../../src/shared/kernels/random.js';
import { expectClose } from '../../helpers/arrays.js';

// N images of P patches with d dimensions.
const [N, P, d] = [15, 20, 96];
const random = createRandom(81);
const projected = new Float32Array(N * P * d);
const shared = new Float32Array(new SharedArrayBuffer(4 * N * P * d));
for (let i = 0; i < shared.length; i++) shared[i] = projected[i] = random.normal() / (1 + (i % d) / 8);
const settings = { folds: 5, seed: 3 };
const foldOf = foldsOf(N, settings.folds, settings.seed);

async function build(rows: number, threads: number) {
  const compute = createCompute({ threads });
  let built = 0;
  const onBuilt = () => built++;
  const data = { projected: shared, images: N, patches: P, dims: d, foldOf };
  const banks = await buildBanks(data, { ...settings, rows, compute, onBuilt });
  await compute.close();
  expect(built).toBe(6);
  return banks;
}

const rowsOf = (sources: ArrayLike<number>) =>
  Float32Array.from({ length: sources.length * d }, (_, i) => projected[sources[Math.floor(i / d)]! * d + (i % d)]!);

/** The rows that the plain algorithm takes from some images. */
function plainSources(images: number[], rows: number): number[] {
  const places = images.flatMap((image) => Array.from({ length: P }, (_, patch) => image * P + patch));
  const generator = createRandom(settings.seed);
  const projection = randomProjection(d, 64, generator);
  const points = new Float32Array(places.length * 64);
  places.forEach((place, index) => {
    for (let k = 0; k < 64; k++) {
      let sum = 0;
      for (let dim = 0; dim < d; dim++) sum += projected[place * d + dim]! * projection[dim * 64 + k]!;
      points[index * 64 + k] = sum;
    }
  });
  snapToGrid(points, 64);
  const starts = [...generator.permutation(places.length).subarray(0, 10)];
  return [...greedyCoreset(points, 64, rows, starts).index].map((index) => places[index]!);
}

/** Distances of each image of a fold to the bank of the others. */
async function plainHeldOut(heldOut: number[], rows: number): Promise<Map<number, number[]>> {
  const others = Array.from({ length: N }, (_, image) => image).filter((image) => !heldOut.includes(image));
  const bank = rowsOf(plainSources(others, rows));
  const spacing = await spacingOf(bank, d, others.length * P);
  return new Map(
    heldOut.map((image) => {
      const distances = Array.from({ length: P }, (_, patch) => {
        const squares = Array.from(spacing, (r, row) => {
          let square = 0;
          for (let dim = 0; dim < d; dim++) {
            square += (projected[(image * P + patch) * d + dim]! - bank[row * d + dim]!) ** 2;
          }
          return square / r;
        });
        return Math.sqrt(Math.min(...squares));
      });
      return [image, distances];
    }),
  );
}

test('every image is measured against the bank of a fold that has not seen it', async () => {
  const rows = 60;
  const { bank, distances: measured } = await build(rows, 2);
  const all = Array.from({ length: N }, (_, image) => image);
  expectClose(bank.sources, plainSources(all, rows), {}, 'sources');
  expectClose(bank.rows, rowsOf(bank.sources), {}, 'rows');
  expectClose(bank.spacing, await spacingOf(bank.rows, d, N * P), {}, 'spacing');

  const order = [...createRandom(settings.seed).permutation(N)];
  for (let fold = 0; fold < settings.folds; fold++) {
    const heldOut = order.filter((_, position) => position % settings.folds === fold);
    for (const [image, distances] of await plainHeldOut(heldOut, rows)) {
      const found = measured.subarray(image * P, (image + 1) * P);
      expectClose(found, distances, { atol: 1e-3 }, `image ${image}`);
    }
  }
});

test('one thread gives the very numbers of two', async () => {
  const [one, two] = [await build(60, 1), await build(60, 2)];
  expectClose(one.distances, two.distances);
  expectClose(one.bank.rows, two.bank.rows);
});

test('a bank that may hold all patches holds all', async () => {
  const { bank } = await build(N * P, 2);
  expectClose(
    bank.sources,
    Int32Array.from({ length: N * P }, (_, place) => place),
  );
  expectClose(bank.spacing, new Float32Array(N * P).fill(1));
});
