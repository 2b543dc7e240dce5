import { Tensor } from 'onnxruntime-node';
import { createRandom } from '../dist/shared/kernels/random.js';
import { writeModel } from '../dist/shared/onnx/model.js';
import { createSession } from '../dist/shared/onnx/session.js';
import { nearestRow } from '../dist/shared/patchcore/nearest-row.js';
import { composeSearchGraph } from '../dist/shared/patchcore/search-graph.js';
import { measure } from './measure.mjs';

const patches = 196;
const cases = [
  { count: 8000, dims: 96 },
  { count: 15_000, dims: 128 },
];
const rounds = 15;
/** Of the square, in float32. */
const tolerance = 1e-4;

/** @param {(typeof cases)[number]} set */
async function measureCase({ count, dims }) {
  const random = createRandom(2);
  const bank = {
    rows: Float32Array.from({ length: count * dims }, random.normal),
    spacing: Float32Array.from({ length: count }, () => 0.5 + random.uniform()),
    dims,
  };
  const queries = Float32Array.from({ length: patches * dims }, random.normal);
  const session = await createSession(writeModel(composeSearchGraph(patches, bank)));
  const feeds = { projected: new Tensor('float32', queries, [patches, dims]) };
  const searchPlainly = () =>
    Float64Array.from({ length: patches }, (_, patch) => {
      return nearestRow(queries.subarray(patch * dims, (patch + 1) * dims), bank).distance;
    });
  const { distances } = await session.run(feeds);
  const found = /** @type {Float32Array} */ (distances?.data);
  const expected = searchPlainly();
  const wrong = expected.findIndex((distance, patch) => {
    return !(Math.abs(Number(found[patch]) ** 2 - distance ** 2) <= tolerance);
  });
  if (wrong >= 0) throw new Error(`Patch ${wrong} is ${found[wrong]} away, in float64 ${expected[wrong]}`);
  const { graph, plain } = await measure({ graph: () => session.run(feeds), plain: searchPlainly }, rounds);
  await session.release();
  return [
    ...[`${count} × ${dims}`, graph.min.toFixed(2), graph.median.toFixed(2), plain.median.toFixed(0)],
    `${(plain.median / graph.median).toFixed(0)} ×`,
  ];
}

/** @type {import('./run.mjs').Bench} */
export default {
  name: 'search',
  about: `Patch distances of an image of ${patches} patches (\`src/shared/patchcore/search-graph.ts\`) against a search in JavaScript and float64.`,
  async run() {
    const rows = [];
    for (const set of cases) rows.push(await measureCase(set));
    return { columns: ['bank', 'min ms', 'median ms', 'plain, median ms', 'ratio'], rows };
  },
};
