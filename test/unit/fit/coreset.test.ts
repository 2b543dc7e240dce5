import { expect, test } from 'vitest';
import { selectCoreset } from '../../../src/fit/coreset.js';
import { snapToGrid } from '../../../src/fit/grid-distances.js';
import { type CoresetStart, greedyCoreset } from '../../../src/shared/kernels/greedy-coreset.js';
import { createRandom, type Random } from '../../../src/shared/kernels/random.js';
import { expectClose, float32 } from '../../helpers/arrays.js';
import { goldenCases } from '../../helpers/golden.js';

type MakeRows = (random: Random, count: number, dims: number) => Float32Array;
const kinds: Record<string, MakeRows> = {
  'normal rows': (random, count, dims) => float32(count * dims, random.normal),
  'rows of very different lengths': (random, count, dims) => float32(count * dims, () => random.normal() ** 5),
  'few whole numbers: ties and duplicates': (random, count, dims) => float32(count * dims, () => random.integer(4)),
  'every row twice': (random, count, dims) => {
    const half = float32(Math.ceil(count / 2) * dims, random.normal);
    return float32(count * dims, (i) => half[i % half.length]!);
  },
  'clusters far apart': (random, count, dims) =>
    float32(count * dims, (i) => 50 * (Math.floor(i / dims) % 3) + random.normal() * 0.1),
};

/** What the plain algorithm takes until only copies are left. */
function plainly(rows: Float32Array, dims: number, count: number, start: CoresetStart): Int32Array {
  const { index, radius } = greedyCoreset(rows, dims, count, start);
  const copiesFrom = radius.indexOf(0);
  return copiesFrom < 0 ? index : index.subarray(0, index.length - radius.length + copiesFrom);
}

test.each(goldenCases('coreset'))('golden case $name', async (golden) => {
  const { data: rows, shape } = golden.float32('embedding');
  if (!rows.every(Number.isInteger)) snapToGrid(rows, shape[1]!);
  const { size, start } = golden.params;
  const starts: CoresetStart =
    start === undefined ? { meanDistanceTo: Array.from(golden.int64('start_points').data, Number) } : { rows: [start] };
  const taken = await selectCoreset(rows, shape[1]!, size!, starts);
  if (golden.name === 'duplicates') {
    // Where only copies are left, the peer takes row 0 again and again.
    expectClose(taken, golden.output('index').data.subarray(0, 5));
  } else {
    golden.check({ index: taken }, start === undefined ? [] : ['radius']); // distances are in units of the grid
  }
});

test.each(Object.entries(kinds))('takes the very rows of the plain algorithm: %s', async (_, makeRows) => {
  const random = createRandom(11);
  for (let set = 0; set < 12; set++) {
    const [count, dims] = [20 + random.integer(400), 1 + random.integer(8)];
    const rows = makeRows(random, count, dims);
    snapToGrid(rows, dims);
    const starts = [...random.permutation(count).subarray(0, 1 + random.integer(4))];
    const wanted = starts.length + random.integer(count - starts.length + 1);
    for (const start of [{ rows: starts }, { meanDistanceTo: starts }]) {
      const taken = await selectCoreset(rows, dims, wanted, start);
      const name = `set ${set}: ${wanted} of ${count} × ${dims} from ${Object.keys(start)}`;
      expectClose(taken, plainly(rows, dims, wanted, start), {}, name);
    }
  }
});

test('takes the very rows of the plain algorithm over several blocks and chunks', async () => {
  const [count, dims, wanted] = [9000, 6, 900];
  const random = createRandom(12);
  const rows = float32(count * dims, (i) => random.normal() / (1 + (i % dims)));
  snapToGrid(rows, dims);
  expectClose(
    await selectCoreset(rows, dims, wanted, { rows: [4, 2] }),
    greedyCoreset(rows, dims, wanted, { rows: [4, 2] }).index,
  );
});

test('a row outside the block that is as far as the best inside comes first where it lies lower', async () => {
  // The block holds `farthest`, `far` and part of the crowd. Once `farthest` is taken, `far` is as far as `outside`.
  const [start, crowd, outside, far, farthest] = [
    [0, 0],
    [48, 14],
    [0, 50],
    [60, 0],
    [60, 50],
  ];
  const rows = Float32Array.from([start, ...Array(2046).fill(crowd), outside, far, farthest].flat());
  expectClose(greedyCoreset(rows, 2, 4, { rows: [0] }).index, [0, 2049, 2047, 2048]);
  expectClose(await selectCoreset(rows, 2, 4, { rows: [0] }), [0, 2049, 2047, 2048]);
});

test('more rows as far as each other than a block holds are taken in their order', async () => {
  const [count, dims] = [5000, 2];
  const rows = float32(count * dims, (i) => (i < dims ? 0 : 1000)); // row 0 apart from 4,999 copies of another
  expectClose(await selectCoreset(rows, dims, 10, { rows: [0] }), [0, 1]);
  const onCircle = float32(count * dims, (i) => (i < dims ? 0 : [1000, 0, 0, 1000, -1000, 0, 0, -1000][i % 8]!));
  expectClose(
    await selectCoreset(onCircle, dims, 10, { rows: [0] }),
    greedyCoreset(onCircle, dims, 5, { rows: [0] }).index,
  );
});

test('ends with the start rows where no more are wanted', async () => {
  const rows = float32(40, (i) => i);
  expectClose(await selectCoreset(rows, 2, 3, { rows: [7, 1, 5] }), [7, 1, 5]);
});

test('the grid keeps whole numbers whose distances float32 holds exactly', () => {
  const random = createRandom(13);
  const dims = 64;
  const rows = float32(500 * dims, () => random.normal() * 1e-3);
  const before = rows.slice();
  snapToGrid(rows, dims);
  const norms = Array.from({ length: 500 }, (_, row) => Math.hypot(...rows.subarray(row * dims, (row + 1) * dims)));
  expect(rows.every(Number.isInteger)).toBe(true);
  expect(Math.max(...norms)).toBeGreaterThan(1995);
  expect(4 * Math.max(...norms) ** 2).toBeLessThan(2 ** 24);
  const scale =
    Math.max(...norms) /
    Math.max(...norms.map((_, row) => Math.hypot(...before.subarray(row * dims, (row + 1) * dims))));
  expectClose(
    rows,
    before.map((value) => value * scale),
    { atol: 1 },
  );
});

test('rows that are all 0 stay so', () => {
  const rows = new Float32Array(8);
  snapToGrid(rows, 2);
  expectClose(rows, new Float32Array(8));
});
