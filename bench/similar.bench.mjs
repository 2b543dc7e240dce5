import { existsSync, readdirSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pMap from 'p-map';
import { fitBundle } from '../dist/fit/fit.js';
import { directoryImages } from '../dist/fit/training-images.js';
import { distanceOf, findSimilar, suspectOf } from '../dist/history/nearest.js';
import { recordInspections } from '../dist/history/record.js';
import { openOrCreateHistory } from '../dist/history/table.js';
import { createCompute } from '../dist/shared/compute.js';
import { inspectionIdOf, resultKey } from '../dist/shared/keys.js';
import { loadBundle } from '../dist/shared/loaded-bundle.js';
import { createLogger } from '../dist/shared/logger.js';
import { createScorer } from '../dist/shared/patchcore/scorer.js';
import { putJson } from '../dist/shared/store/object-store.js';
import { openStore } from '../dist/shared/store/open-store.js';

// Images of defects by type, in the layout of MVTec AD: https://github.com/abin24/Magnetic-tile-defect-datasets.
const images = process.env.BENCH_MAGNETIC_TILE;
const product = 'tile';
const k = 5;
const capturedAt = '2026-01-31T00:00:00.000Z';
const limits = { maxImageBytes: 50e6 };
const threads = 2;

/** @typedef {import('../dist/history/nearest.js').Suspect} Suspect */
/** @typedef {{ suspect: Suspect, defect: string, shot: number }} Past `shot`: number of the photograph */

/**
 * Photographs of one tile follow each other: exp1_num_3667 .. exp6_num_3789. Those further apart are of different tiles.
 *
 * @param {Past} a
 * @param {Past} b
 */
const mayShowOneTile = (a, b) => Math.abs(a.shot - b.shot) < 1_000;

/** Fits on train/good, inspects test/ and records it; only anomalous images are of interest. */
async function inspectAll(/** @type {string} */ directory, /** @type {string} */ root) {
  const store = await openStore(root);
  const compute = createCompute({ threads });
  const training = {
    images: await directoryImages(directory),
    product,
    seed: 0,
    network: /** @type {const} */ ('int8'),
  };
  await fitBundle({ ...training, activate: true, store, compute, ...limits, logger: createLogger('silent') });
  const bundle = await loadBundle(store, product, 'v1');
  const scorer = createScorer(compute, { limits, maxLoadedBundles: 1 });
  const files = readdirSync(join(directory, 'test'), { recursive: true, encoding: 'utf8' }).filter((name) =>
    /\.jpg$/.test(name),
  );
  /** @type {string[]} */
  const ids = [];
  /** @type {Past[]} */
  const past = [];
  await pMap(
    files,
    async (file) => {
      const { scored } = await scorer.score(await readFile(join(directory, 'test', file)), bundle);
      const { patchDistance: _, ...shown } = scored;
      const identity = { imageKey: file, camera: null, product, bundle: 'v1', capturedAt };
      const inspectionId = inspectionIdOf(file, product, 'v1', capturedAt);
      const result = { schema: 1, inspectionId, ...identity, finishedAt: capturedAt, status: 'done', ...shown };
      await putJson(store, resultKey(inspectionId), result);
      ids.push(inspectionId);
      if (scored.verdict === 'good') return;
      const shot = Number(/num_(\d+)/.exec(file)?.[1]);
      past.push({
        suspect: suspectOf({ inspectionId, imageKey: file, product }, scored),
        defect: file.split('/')[0] ?? '',
        shot,
      });
    },
    { concurrency: 2 * threads },
  );
  await compute.close();
  const history = await openOrCreateHistory(store);
  await recordInspections({ store, history }, ids);
  return { past, history };
}

const euclidean = (/** @type {Float32Array} */ a, /** @type {Float32Array} */ b) =>
  Math.sqrt(a.reduce((sum, each, i) => sum + (each - Number(b[i])) ** 2, 0));
const zero = { embedding: new Float32Array(1280), patch: new Float32Array(328) };

/** Distances by name; with a zero vector in both, that vector has no say in an order. */
const forms = /** @type {Record<string, (a: Suspect, b: Suspect) => number>} */ ({
  'patch, Euclidean': (a, b) => euclidean(a.patch, b.patch),
  'patch, cosine': (a, b) => distanceOf({ ...a, embedding: zero.embedding }, b),
  'embedding, cosine': (a, b) => distanceOf({ ...a, patch: zero.patch }, b),
  'patch + 2 embedding, cosine': distanceOf,
});

/** The k nearest of the others by a distance. */
const nearest = (
  /** @type {Past} */ query,
  /** @type {Past[]} */ others,
  /** @type {(a: Suspect, b: Suspect) => number} */ distance,
) =>
  others
    .map((other) => ({ other, at: distance(query.suspect, other.suspect) }))
    .sort((a, b) => a.at - b.at)
    .slice(0, k)
    .map(({ other }) => other);

/** Share of the k nearest that show the query's type of defect. */
function shareOf(/** @type {Past[]} */ queries, /** @type {(query: Past) => Past[]} */ similarTo) {
  const hits = queries.map((query) => similarTo(query).filter(({ defect }) => defect === query.defect).length);
  return hits.reduce((sum, each) => sum + each, 0) / (k * queries.length);
}

/** @type {import('./run.mjs').Bench} */
export default {
  name: 'similar',
  about:
    `Similar inspections (\`src/history/nearest.ts\`) on magnetic tile: share of the ${k} nearest past cases that show the same type of ` +
    'defect, of 5 types, over all defective test images that are flagged, each against all other flagged ones.',
  async run() {
    const columns = ['distance', 'another photograph', 'another tile', 'recall'];
    if (!images || !existsSync(images)) {
      const reason = `Skipped: ${images ? `${images} is not there` : 'BENCH_MAGNETIC_TILE is not set'}; set it to the folder of the data set.`;
      return { columns, rows: [], notes: [reason] };
    }
    const root = await mkdtemp(join(tmpdir(), 'patchline-similar-'));
    try {
      const { past, history } = await inspectAll(images, root);
      const queries = past.filter(({ defect }) => defect !== 'good');
      const rows = Object.entries(forms).map(([name, distance]) => {
        const others = (/** @type {Past} */ query) => past.filter((each) => each !== query);
        const tiles = (/** @type {Past} */ query) => past.filter((each) => !mayShowOneTile(each, query));
        const share = shareOf(queries, (query) => nearest(query, others(query), distance));
        return [
          name,
          share.toFixed(3),
          shareOf(queries, (query) => nearest(query, tiles(query), distance)).toFixed(3),
          1,
        ];
      });
      const byKey = new Map(past.map((each) => [each.suspect.imageKey, each]));
      /** @type {Map<Past, Past[]>} */
      const found = new Map();
      let agreed = 0;
      for (const query of queries) {
        const similar = await findSimilar(history, query.suspect, k);
        const similarPast = similar.map(({ imageKey }) => /** @type {Past} */ (byKey.get(imageKey)));
        const exact = nearest(
          query,
          past.filter((each) => each !== query),
          distanceOf,
        );
        found.set(query, similarPast);
        agreed += similarPast.filter((each) => exact.includes(each)).length;
      }
      const share = shareOf(queries, (query) => found.get(query) ?? []);
      rows.push(['as searched in history', share.toFixed(3), '', (agreed / (k * queries.length)).toFixed(3)]);
      return {
        columns,
        rows,
        notes: [
          `${queries.length} queries among ${past.length} flagged images. Each tile was photographed up to six times: "another photograph" ` +
            'leaves out the image itself, "another tile" all photographs of the same tile, which is what new parts meet. Recall: share of ' +
            'the nearest by the last distance that the search finds.',
        ],
      };
    } finally {
      await rm(root, { recursive: true, force: true });
    }
  },
};
