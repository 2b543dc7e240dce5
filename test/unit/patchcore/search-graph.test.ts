import { Tensor } from 'onnxruntime-node';
import { describe, expect, test } from 'vitest';
import { nearestNeighbors } from '../../../src/shared/kernels/nearest-neighbors.js';
import { createRandom } from '../../../src/shared/kernels/random.js';
import { writeModel } from '../../../src/shared/onnx/model.js';
import { createSession } from '../../../src/shared/onnx/session.js';
import { nearestRow } from '../../../src/shared/patchcore/nearest-row.js';
import { type Bank, composeSearchGraph } from '../../../src/shared/patchcore/search-graph.js';
import { expectClose, float32 } from '../../helpers/arrays.js';
import { goldenCases } from '../../helpers/golden.js';

// P patches, M bank rows, d dimensions.
const random = createRandom(6);

async function search(queries: Float32Array, bank: Bank): Promise<Float32Array> {
  const P = queries.length / bank.dims;
  const session = await createSession(writeModel(composeSearchGraph(P, bank)));
  const { distances } = await session.run({ projected: new Tensor('float32', queries, [P, bank.dims]) });
  await session.release();
  return distances!.data as Float32Array;
}

const show = (queries: Float32Array, bank: Bank) =>
  Array.from({ length: queries.length / bank.dims }, (_, p) =>
    nearestRow(queries.subarray(p * bank.dims, (p + 1) * bank.dims), bank),
  );

/** The graph's |y|² - 2 y·m + |m|² is rounded to some parts in 10⁷ of the squares, here about 64. */
function expectSquaresClose(got: ArrayLike<number>, want: ArrayLike<number>): void {
  const squares = (distances: ArrayLike<number>) => Float64Array.from(distances, (distance) => distance ** 2);
  expectClose(squares(got), squares(want), { atol: 1e-4 }, 'squared distances');
}

/** min_j |y - m_j|² / r_j and its row, as they are defined. */
function plainly(queries: Float32Array, { rows, spacing, dims: d }: Bank) {
  return Array.from({ length: queries.length / d }, (_, p) => {
    let [nearest, least] = [0, Number.POSITIVE_INFINITY];
    for (let row = 0; row < spacing.length; row++) {
      let square = 0;
      for (let k = 0; k < d; k++) square += (queries[p * d + k]! - rows[row * d + k]!) ** 2;
      if (square / spacing[row]! < least) [nearest, least] = [row, square / spacing[row]!];
    }
    return { row: nearest, distance: Math.sqrt(least) };
  });
}

// 4,500 rows are searched in three blocks of unequal size.
describe.each([
  ['about the origin', 0],
  ['far from the origin', 300],
])('a bank %s', (_, offset) => {
  const [P, M, d] = [40, 4500, 24];
  const bank = {
    rows: float32(M * d, () => offset + random.normal()),
    spacing: float32(M, () => 0.5 + random.uniform()),
    dims: d,
  };
  const queries = float32(P * d, () => offset + 1.5 * random.normal());
  const expected = plainly(queries, bank);
  const distances = expected.map(({ distance }) => distance);
  const rows = expected.map(({ row }) => row);

  test('is searched as defined', async () => {
    expectSquaresClose(await search(queries, bank), distances);
    const shown = show(queries, bank);
    expectClose(
      shown.map(({ row }) => row),
      rows,
    );
    expectClose(
      shown.map(({ distance }) => distance),
      distances,
      { rtol: 1e-12 },
    );
  });

  test('has each of its own rows at distance 0', async () => {
    const own = bank.rows.slice(0, P * d);
    expectSquaresClose(await search(own, bank), new Float32Array(P));
    const shown = show(own, bank);
    expectClose(
      shown.map(({ row }) => row),
      float32(P, (p) => p),
    );
    expectClose(
      shown.map(({ distance }) => distance),
      new Float64Array(P),
    );
  });
});

test.each(goldenCases('nearest-neighbors'))('golden case $name', async (golden) => {
  const { data: queries } = golden.float32('queries');
  const { data: rows, shape } = golden.float32('bank');
  const [M, d] = [shape[0]!, shape[1]!];
  const bank = { rows, spacing: new Float32Array(M).fill(1), dims: d };
  const { neighbors, index, distance } = nearestNeighbors(queries, rows, d, 1);
  expect(neighbors).toBe(1);
  // The case lists k neighbours of each query: the first is the nearest.
  const k = golden.params.effectiveNeighbors!;
  const firsts = (name: string) => float32(index.length, (q) => Number(golden.output(name).data[q * k]!));
  expectClose(index, firsts('index'));
  const shown = show(queries, bank);
  expectClose(
    shown.map(({ row }) => row),
    firsts('index'),
  );
  expectClose(
    shown.map((found) => found.distance),
    firsts('distance'),
    { atol: 1e-5, rtol: 1e-5 },
  );
  expectSquaresClose(await search(queries, bank), distance);
});
