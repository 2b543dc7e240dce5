import type { CoresetStart } from '../shared/kernels/greedy-coreset.js';
import { createFarthestQueue, type FarthestQueue, nextFloat } from './farthest-queue.js';
import { createGridDistances, type GridDistances } from './grid-distances.js';

/** Farthest rows measured in one round. */
const roundRows = 2048;
/** Rows that one round picks among, by the distances between them. */
const blockRows = 1024;
/** Rows taken that others are measured against at a time. */
const pageRows = 512;

/** A selection under way. n rows. */
interface Selection {
  distances: GridDistances;
  taken: number[];
  /** (n) Squared distances to the first `measured` rows taken: at least those to all of them. */
  bounds: Float32Array;
  /** (n) */
  measured: Int32Array;
  queue: FarthestQueue;
}

/**
 * Greedy k-center selection (Gonzalez 1985; the coreset of PatchCore, arXiv:2106.08265): always take the row that is farthest
 * from all rows taken so far, the lower one where two are equally far. n rows, k dimensions. Returns the places of the rows
 * taken, in the order of taking; fewer than `count` where every other row equals one that was taken.
 *
 * The very rows of the plain algorithm (kernels/greedy-coreset.ts), for less than half of its products, all of them in
 * onnxruntime. Distances only shrink, so an old one bounds a row from above: rows are measured again only while their bound is
 * among the largest, and most never are (lazy evaluation, Minoux 1978). Of each round's rows, those still farther than all
 * others are taken from greedily by the distances between them. Takes memory for n · (k + 5) numbers, `rows` included.
 *
 * @param rows (n, k) of whole numbers with norms up to 2,000, see `snapToGrid`
 * @param onTaken told after each round how many rows are taken
 */
export async function selectCoreset(
  rows: Float32Array,
  dims: number,
  count: number,
  start: CoresetStart,
  onTaken: (taken: number) => void = () => {},
): Promise<Int32Array> {
  const distances = await createGridDistances(rows, dims);
  try {
    const selection = await begin(distances, rows.length / dims, start);
    const { taken, queue } = selection;
    for (;;) {
      onTaken(taken.length);
      if (taken.length >= count) break;
      const { rows: candidates, floor } = queue.take(roundRows);
      if (candidates.length === 0) break;
      await takeFrom(selection, await stillFar(selection, candidates, floor), floor, count - taken.length);
    }
    return Int32Array.from(taken);
  } finally {
    await distances.release();
  }
}

async function begin(distances: GridDistances, count: number, start: CoresetStart): Promise<Selection> {
  const numbers = Int32Array.from({ length: count }, (_, row) => row);
  const isTaken = 'rows' in start;
  const bounds = isTaken
    ? await distances.least(numbers, Int32Array.from(start.rows))
    : await meanDistances(distances, numbers, Int32Array.from(start.meanDistanceTo));
  const queue = createFarthestQueue(bounds);
  for (let row = 0; row < count; row++) queue.add(row);
  const taken = isTaken ? [...start.rows] : [];
  return { distances, taken, bounds, measured: new Int32Array(count).fill(taken.length), queue };
}

/** Squares of the mean distances. */
async function meanDistances(distances: GridDistances, numbers: Int32Array, others: Int32Array): Promise<Float32Array> {
  const all = await distances.all(numbers, others);
  return Float32Array.from(numbers, (row) => {
    let sum = 0;
    for (let other = 0; other < others.length; other++) sum += Math.sqrt(all[row * others.length + other]!);
    return (sum / others.length) ** 2;
  });
}

/** Measures rows against what was taken since, until they are known to lie below the floor; those go back. */
async function stillFar(selection: Selection, candidates: number[], floor: number): Promise<number[]> {
  const { distances, taken, bounds, measured, queue } = selection;
  let far = candidates;
  const oldest = candidates.reduce((least, row) => Math.min(least, measured[row]!), taken.length);
  for (let from = oldest - (oldest % pageRows); from < taken.length; from += pageRows) {
    const page = Int32Array.from(taken.slice(from, from + pageRows));
    const to = from + page.length;
    const stale = Int32Array.from(far.filter((row) => measured[row]! < to));
    const least = await distances.least(stale, page);
    for (let index = 0; index < stale.length; index++) {
      const row = stale[index]!;
      if (least[index]! < bounds[row]!) bounds[row] = least[index]!;
      measured[row] = to;
      if (bounds[row]! < floor) queue.add(row);
    }
    far = far.filter((row) => bounds[row]! >= floor);
  }
  return far;
}

/**
 * Takes up to `wanted` rows greedily from those that no row outside is as far as. Of more than a block (many rows equally far)
 * only the first come into question: then the first of them stands before all others, and a later one has to be farther than
 * those left out.
 */
async function takeFrom(selection: Selection, far: number[], floor: number, wanted: number): Promise<void> {
  const { distances, taken, bounds, measured, queue } = selection;
  if (far.length > blockRows) far.sort((a, b) => bounds[b]! - bounds[a]! || a - b);
  const leftOut = far.splice(blockRows);
  const rows = Int32Array.from(far);
  const mutual = await distances.all(rows, rows);
  const block = { rows, distances: Float32Array.from(rows, (row) => bounds[row]!), mutual };
  const reach = leftOut.length > 0 ? nextFloat(bounds[leftOut[0]!]!) : floor;
  taken.push(...pickGreedily(block, reach, wanted));
  rows.forEach((row, place) => {
    bounds[row] = block.distances[place]!;
    measured[row] = taken.length;
    queue.add(row);
  });
  for (const row of leftOut) queue.add(row);
}

interface Block {
  /** (b) */
  rows: Int32Array;
  /** (b) Squared distances to all rows taken: brought up to date with every pick. */
  distances: Float32Array;
  /** (b, b) */
  mutual: Float32Array;
}

/** Picks rows as long as the farthest is at least as far as `reach`; the first in any case, unless all distances are 0. */
function pickGreedily({ rows, distances, mutual }: Block, reach: number, wanted: number): number[] {
  const size = rows.length;
  const picks: number[] = [];
  while (picks.length < Math.min(wanted, size)) {
    let best = 0;
    for (let place = 1; place < size; place++) {
      const difference = distances[place]! - distances[best]!;
      if (difference > 0 || (difference === 0 && rows[place]! < rows[best]!)) best = place;
    }
    const farthest = distances[best]!;
    if (farthest <= 0 || (picks.length > 0 && farthest < reach)) break;
    picks.push(rows[best]!);
    const offset = best * size;
    for (let place = 0; place < size; place++) {
      if (mutual[offset + place]! < distances[place]!) distances[place] = mutual[offset + place]!;
    }
  }
  return picks;
}
