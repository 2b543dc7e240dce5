import { readdirSync, statSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { distanceOf, findSimilar } from '../dist/history/nearest.js';
import { batchLength } from '../dist/history/record.js';
import { writeRows } from '../dist/history/rows.js';
import { openOrCreateHistory } from '../dist/history/table.js';
import { keepUp, tidy } from '../dist/history/upkeep.js';
import { median } from '../dist/shared/kernels/quantile.js';
import { createRandom } from '../dist/shared/kernels/random.js';
import { featureChannels, patchVectorLength } from '../dist/shared/networks.js';

/** Rows at which it is measured. */
const sizes = [20_000, 50_000, 100_000, 200_000];
const queries = 10;
const k = 5;
/** One row in so many is anomalous. */
const anomalousEvery = 100;
const batchesBetweenLooks = 20;
const factors = 24;
const random = createRandom(4);
const length = featureChannels + patchVectorLength;
const mixing = Float32Array.from({ length: length * factors }, random.normal);

/** Vectors that vary in 24 ways and by noise, most of them positive, as those of a network do. */
function makeVectors() {
  const amounts = Float32Array.from({ length: factors }, () => 0.2 * random.normal());
  const values = new Float32Array(length);
  for (let i = 0; i < length; i++) {
    let value = 0.5 + 0.1 * random.normal();
    for (let j = 0; j < factors; j++) value += Number(mixing[i * factors + j]) * Number(amounts[j]);
    values[i] = Math.max(0, value);
  }
  return { embedding: values.slice(0, featureChannels), patch: values.slice(featureChannels) };
}

const product = 'plate';
const backbone = 'a'.repeat(64);
const day = new Date('2026-01-31T00:00:00.000Z');

/** @returns {import('../dist/history/schema.js').HistoryRow} */
function makeRow(/** @type {number} */ number) {
  const isAnomalous = number % anomalousEvery === 0;
  const name = String(number).padStart(24, '0');
  return {
    ...{
      inspectionId: `i-20260131-${name}`,
      imageKey: `images/line-1/2026-01-31/${name}.jpg`,
      camera: 'line-1',
      product,
    },
    ...{ bundle: 'v1', capturedAt: day, finishedAt: day, recordedAt: day, status: 'done', errorCode: null },
    ...{ verdict: isAnomalous ? 'anomalous' : 'good', anomalyScore: 1, threshold: 2, severity: 50, risk: null },
    ...{ features: null, shap: null, review: null, backbone, ...makeVectors() },
  };
}

/** Megabytes of all files below a directory. */
function megabytesOf(/** @type {string} */ directory) {
  const files = readdirSync(directory, { recursive: true, encoding: 'utf8' });
  const sizes = files.map((name) => statSync(join(directory, name))).map((file) => (file.isFile() ? file.size : 0));
  return sizes.reduce((sum, size) => sum + size, 0) / 1e6;
}

async function timed(/** @type {() => Promise<unknown>} */ task) {
  const startedAt = performance.now();
  await task();
  return performance.now() - startedAt;
}

/** @typedef {import('../dist/history/table.js').History} History */
/** @typedef {import('../dist/history/nearest.js').Suspect} Suspect */

/** All rows by their embedding, without the index. */
async function nearestGood(/** @type {History} */ history, /** @type {Suspect} */ { embedding }) {
  const query = history.table
    .query()
    .nearestTo(embedding)
    .column('embedding')
    .distanceType('cosine')
    .bypassVectorIndex();
  const rows = await query.select(['inspectionId', '_distance']).limit(k).toArray();
  return rows.map(({ inspectionId }) => String(inspectionId));
}

/** @param {'good' | 'anomalous'} verdict @param {(suspect: Suspect) => Promise<string[]>} exactly */
async function measureSearch(/** @type {History} */ history, verdict, exactly) {
  const [times, exactTimes] = [new Float64Array(queries), new Float64Array(queries)];
  let agreed = 0;
  for (let i = -1; i < queries; i++) {
    const suspect = { imageKey: 'new', product, backbone, verdict, ...makeVectors() };
    /** @type {string[]} */
    let found = [];
    /** @type {string[]} */
    let exact = [];
    const ms = await timed(async () => {
      found = (await findSimilar(history, suspect, k)).map(({ inspectionId }) => inspectionId);
    });
    const exactMs = await timed(async () => {
      exact = await exactly(suspect);
    });
    if (i < 0) continue;
    [times[i], exactTimes[i]] = [ms, exactMs];
    agreed += found.filter((id) => exact.includes(id)).length;
  }
  return { ms: median(times), exactMs: median(exactTimes), recall: agreed / (queries * k) };
}

/** @type {import('./run.mjs').Bench} */
export default {
  name: 'history',
  about:
    `Growth of history (\`src/history/\`) in a directory, ${batchLength} rows a batch, one row in ${anomalousEvery} anomalous: writing, ` +
    `its upkeep, megabytes on disk when older versions are gone, and the ${k} most similar inspections of an anomalous and ` +
    'a good image against exact search over the same rows.',
  async run() {
    const root = await mkdtemp(join(tmpdir(), 'patchline-history-bench-'));
    try {
      const history = await openOrCreateHistory({ url: root });
      /** @type {import('../dist/history/schema.js').HistoryRow[]} */
      const anomalous = [];
      const table = [];
      let count = 0;
      for (const size of sizes) {
        let [writeMs, upkeepMs, batches] = [0, 0, 0];
        while (count < size) {
          const rows = Array.from({ length: batchLength }, (_, i) => makeRow(count + i));
          anomalous.push(...rows.filter(({ verdict }) => verdict === 'anomalous'));
          writeMs += await timed(() => writeRows(history, rows));
          count += batchLength;
          if (++batches % batchesBetweenLooks === 0) upkeepMs += await timed(() => keepUp(history));
        }
        upkeepMs += await timed(() => tidy(history));
        await tidy(history, { keepMs: 0 });
        const { numIndices } = await history.table.stats();
        const nearestAnomalous = async (/** @type {Suspect} */ suspect) =>
          anomalous
            .map((row) => ({ row, at: distanceOf(suspect, /** @type {Suspect} */ (/** @type {unknown} */ (row))) }))
            .sort((a, b) => a.at - b.at)
            .slice(0, k)
            .map(({ row }) => row.inspectionId);
        const flagged = await measureSearch(history, 'anomalous', nearestAnomalous);
        const good = await measureSearch(history, 'good', (suspect) => nearestGood(history, suspect));
        table.push([
          ...[size, (writeMs / batches).toFixed(0), (upkeepMs / 1000).toFixed(1), megabytesOf(root).toFixed(0)],
          ...[flagged.ms.toFixed(0), flagged.recall.toFixed(2), numIndices > 0 ? 'index' : 'all rows'],
          ...[good.ms.toFixed(0), good.exactMs.toFixed(0), good.recall.toFixed(2)],
        ]);
      }
      return {
        columns: [
          ...['rows', 'ms a batch', 'upkeep since the last size, s', 'MB', 'anomalous, ms', 'recall', 'good, by'],
          ...['good, ms', 'exact, ms', 'recall'],
        ],
        rows: table,
        notes: [`Medians of ${queries} searches.`],
      };
    } finally {
      await rm(root, { recursive: true, force: true });
    }
  },
};
