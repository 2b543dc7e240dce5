import { expect, test } from 'vitest';
import { snapToGrid } from '../../../src/fit/grid-distances.js';
import { buildBanks, foldsOf, noFold } from '../../../src/fit/memory-banks.js';
import { spacingOf } from '../../../src/fit/spacing.js';
import { createCompute } from '../../../src/shared/compute.js';
import { greedyCoreset } from '../../../src/shared/kernels/greedy-coreset.js';
import { reweightedScore } from '../../../src/shared/kernels/image-score.js';
import { nearestNeighbors } from '../../../src/shared/kernels/nearest-neighbors.js';
import { createRandom, randomProjection } from '../../../src/shared/kernels/random.js';
import { expectClose } from '../../helpers/arrays.js';

// N training images and others to be measured, S in all, of P patches with d dimensions.
const [N, S, P, d] = [15, 18, 20, 96];
const random = createRandom(81);
const projected = new Float32Array(S * P * d);
const shared = new Float32Array(new SharedArrayBuffer(4 * S * P * d));
for (let i = 0; i < shared.length; i++) shared[i] = projected[i] = random.normal() / (1 + (i % d) / 8);
const settings = { folds: 5, seed: 3 };
const foldOf = [...foldsOf(N, settings.folds, settings.seed), 2, noFold, 2];

async function build(rows: number, threads: number) {
  const compute = createCompute({ threads });
  let chosen = 0;
  const onChosen = (more: number) => {
    expect(more).toBeGreaterThan(0);
    chosen += more;
  };
  const ofImage = (image: number) => shared.subarray(image * P * d, (image + 1) * P * d);
  const training = shared.subarray(0, N * P * d);
  const others = [N, N + 1, N + 2].map(ofImage);
  const data = { projected: training, others, patches: P, dims: d, foldOf };
  const banks = await buildBanks(data, {
    ...settings,
    bankRows: () => rows,
    spacing: true,
    reweighted: false,
    compute,
    onChosen,
  });
  await compute.close();
  expect(chosen).toBe(6 * rows);
  return banks;
}

const rowsOf = (sources: ArrayLike<number>) =>
  Float32Array.from({ length: sources.length * d }, (_, i) => projected[sources[Math.floor(i / d)]! * d + (i % d)]!);

/** The rows that the plain algorithm takes from some images. */
function plainSources(images: number[], rows: number, others: number[] = []): number[] {
  const places = [...images.flatMap((image) => Array.from({ length: P }, (_, patch) => image * P + patch)), ...others];
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
  return [...greedyCoreset(points, 64, rows, { rows: starts }).index].map((index) => places[index]!);
}

/** Distances of some images to the bank of the training images that are not left out. */
async function plainDistances(leftOut: number[], images: number[], rows: number): Promise<Map<number, number[]>> {
  const others = Array.from({ length: N }, (_, image) => image).filter((image) => !leftOut.includes(image));
  const bank = rowsOf(plainSources(others, rows));
  const spacing = await spacingOf(bank, d, others.length * P);
  return new Map(
    images.map((image) => {
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
  const seen = new Set<number>();
  const compare = async (leftOut: number[], images: number[]) => {
    for (const [image, distances] of await plainDistances(leftOut, images, rows)) {
      const found = measured.subarray(image * P, (image + 1) * P);
      expectClose(found, distances, { atol: 1e-3 }, `image ${image}`);
      seen.add(image);
    }
  };
  for (let fold = 0; fold < settings.folds; fold++) {
    const heldOut = order.filter((_, position) => position % settings.folds === fold);
    await compare(heldOut, fold === 2 ? [...heldOut, N, N + 2] : heldOut);
  }
  await compare([], [N + 1]); // in no fold: measured by the bank of all
  expect(seen.size).toBe(S);
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

test('each bank may have a share of its patches, and plain distances', async () => {
  const compute = createCompute({ threads: 2 });
  const data = {
    projected: shared.subarray(0, N * P * d),
    others: [],
    patches: P,
    dims: d,
    foldOf: foldOf.slice(0, N),
  };
  const bankRows = (patches: number) => patches / 10;
  const options = { ...settings, bankRows, spacing: false, reweighted: true, compute, onChosen() {} };
  const { bank, distances, reweightedScores } = await buildBanks(data, options);
  await compute.close();
  expect(bank.spacing).toEqual(new Float32Array((N * P) / 10).fill(1));

  const heldOut = foldOf.indexOf(0);
  const learned = Array.from({ length: N }, (_, image) => image).filter((image) => foldOf[image] !== 0);
  const rows = rowsOf(plainSources(learned, (learned.length * P) / 10));
  const vectors = projected.subarray(heldOut * P * d, (heldOut + 1) * P * d);
  const { distance } = nearestNeighbors(vectors, rows, d, 1);
  const found = distances.subarray(heldOut * P, (heldOut + 1) * P);
  expectClose(found, distance, { atol: 1e-3 });
  const worst = distance.indexOf(Math.max(...distance));
  const { score } = reweightedScore(vectors.subarray(worst * d, (worst + 1) * d), rows, d, 9);
  expectClose([reweightedScores[heldOut]!], [score], { rtol: 1e-6 });
});

test('a bank that grows is chosen from its rows as well, and so is every bank of a fold', async () => {
  const images = 4;
  const patches = images * P;
  const earlier = { rows: 30, patches: 200 };
  const compute = createCompute({ threads: 2 });
  const data = {
    projected: shared.subarray(0, (patches + earlier.rows) * d),
    ...{ earlier, others: [], patches: P, dims: d },
    foldOf: Int32Array.of(0, 1, 0, 1),
  };
  const asked: number[] = [];
  const bankRows = (of: number) => {
    asked.push(of);
    return 40;
  };
  const options = { bankRows, spacing: true, reweighted: false, folds: 2, seed: settings.seed, compute, onChosen() {} };
  const { bank, distances } = await buildBanks(data, options);
  await compute.close();
  expect(asked).toEqual([patches + 200, patches / 2 + 200, patches / 2 + 200]);

  const rowsBefore = Array.from({ length: earlier.rows }, (_, row) => patches + row);
  const sources = plainSources([0, 1, 2, 3], 40, rowsBefore);
  expect(sources.some((place) => place >= patches) && sources.some((place) => place < patches)).toBe(true);
  expectClose(bank.sources, sources, {}, 'sources');
  expectClose(bank.rows, rowsOf(sources), {}, 'rows');
  expectClose(bank.spacing, await spacingOf(bank.rows, d, patches + 200), {}, 'spacing');

  const heldOut = rowsOf(plainSources([1, 3], 40, rowsBefore));
  const spacing = await spacingOf(heldOut, d, patches / 2 + 200);
  const expected = Array.from({ length: P }, (_, patch) =>
    Math.sqrt(
      Math.min(
        ...Array.from(spacing, (r, row) => {
          let square = 0;
          for (let dim = 0; dim < d; dim++) square += (projected[patch * d + dim]! - heldOut[row * d + dim]!) ** 2;
          return square / r;
        }),
      ),
    ),
  );
  expectClose(distances.subarray(0, P), expected, { atol: 1e-3 }, 'image 0');
});
