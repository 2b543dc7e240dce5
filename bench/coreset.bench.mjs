import { selectCoreset } from '../dist/fit/coreset.js';
import { snapToGrid } from '../dist/fit/grid-distances.js';
import { greedyCoreset } from '../dist/shared/kernels/greedy-coreset.js';
import { createRandom } from '../dist/shared/kernels/random.js';
import { measure } from './measure.mjs';

// The plain algorithm takes time in proportion to the rows taken, and what it takes first does not depend on how many: of the
// larger set it takes a part only.
const cases = [
  { count: 50_000, dims: 96, wanted: 500, plainly: 500 },
  { count: 150_000, dims: 64, wanted: 8000, plainly: 200 },
];
const rounds = 3;

/** Rows about 40 centres, their variance falling from dimension to dimension as that of principal components does. */
function makeRows(/** @type {number} */ count, /** @type {number} */ dims) {
  const random = createRandom(1);
  const centres = Float32Array.from({ length: 40 * dims }, random.normal);
  const rows = Float32Array.from({ length: count * dims }, (_, i) => {
    const [row, dim] = [Math.floor(i / dims), i % dims];
    return /** @type {number} */ (centres[(row % 40) * dims + dim] + random.normal()) / (1 + dim / 16);
  });
  snapToGrid(rows, dims);
  return { rows, start: { rows: [...random.permutation(count).subarray(0, 10)] } };
}

/** @param {(typeof cases)[number]} set */
async function measureCase({ count, dims, wanted, plainly }) {
  const { rows, start } = makeRows(count, dims);
  const expected = greedyCoreset(rows, dims, plainly, start).index;
  const taken = await selectCoreset(rows, dims, wanted, start);
  const wrong = expected.findIndex((row, place) => row !== taken[place]);
  if (wrong >= 0) throw new Error(`Row ${wrong} is ${taken[wrong]}, the plain algorithm takes ${expected[wrong]}`);
  const { fast, plain } = await measure(
    { fast: () => selectCoreset(rows, dims, wanted, start), plain: () => greedyCoreset(rows, dims, plainly, start) },
    rounds,
  );
  const share = wanted / plainly;
  return [
    ...[`${count} × ${dims}`, wanted, Math.round(fast.min), Math.round(fast.median)],
    `${Math.round(plain.median * share)}${share > 1 ? ` (${plainly} rows × ${share})` : ''}`,
    `${((plain.median * share) / fast.median).toFixed(0)} ×`,
  ];
}

/** @type {import('./run.mjs').Bench} */
export default {
  name: 'coreset',
  about:
    'Greedy choice of the memory bank (`src/fit/coreset.ts`) against the plain algorithm (`src/shared/kernels/greedy-coreset.ts`), ' +
    'which takes the very same rows in the same order: checked first.',
  async run() {
    const rows = [];
    for (const set of cases) rows.push(await measureCase(set));
    return { columns: ['rows', 'taken', 'min ms', 'median ms', 'plain, median ms', 'ratio'], rows };
  },
};
