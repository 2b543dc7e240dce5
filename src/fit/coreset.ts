import { type InferenceSession, Tensor } from 'onnxruntime-node';
import { createGraphBuilder, type GraphBuilder } from '../shared/onnx/graph-builder.js';
import { writeModel } from '../shared/onnx/model.js';
import { createSession } from '../shared/onnx/session.js';

/**
 * Greedy k-center selection (Gonzalez 1985; the coreset of PatchCore, arXiv:2106.08265): always take the row that is farthest
 * from all rows taken so far, the lower one where two are equally far. n rows, k dimensions.
 *
 * Rows lie on a grid of integers, so that every squared distance is a whole number that float32 holds exactly, however the
 * products are grouped. The selection in blocks therefore returns the very rows of the plain algorithm, on any machine.
 */

/** How far rows may lie from the origin: |x|² + |m|² + 2|x||m| stays below 2²⁴, the last whole number of float32. */
const gridRadius = 2000;
/** Farthest rows that one round picks among. */
const blockRows = 2048;
/** Rows updated by one product: all at once would leave the processor's cache. */
const chunkRows = 8192;

/** Scales rows (n, k) about the origin and rounds them to whole numbers, in place; the farthest gets the norm 2,000. */
export function snapToGrid(rows: Float32Array, dims: number): void {
  let largest = 0;
  for (let offset = 0; offset < rows.length; offset += dims) {
    let square = 0;
    for (let dim = 0; dim < dims; dim++) square += rows[offset + dim]! ** 2;
    largest = Math.max(largest, square);
  }
  const scale = largest > 0 ? gridRadius / Math.sqrt(largest) : 0;
  for (let index = 0; index < rows.length; index++) rows[index] = Math.round(rows[index]! * scale);
}

/**
 * Places of the rows taken, in the order of taking: first `starts`, then greedily up to `count`, fewer where every other row
 * equals one that was taken.
 *
 * Exact in blocks: the farthest 2,048 rows are taken from greedily by their own distances as long as the best of them is
 * farther than every row outside; then all rows are measured against the new ones.
 *
 * @param rows (n, k) of whole numbers with norms up to 2,000, see `snapToGrid`
 */
export async function selectCoreset(rows: Float32Array, dims: number, count: number, starts: readonly number[]) {
  const points = withSquares(rows, dims);
  const blockSession = await createSession(writeModel(composeBlockGraph(dims).build()));
  const updateSession = await createSession(writeModel(composeUpdateGraph(dims).build()));
  const distances = new Float32Array(rows.length / dims).fill(Number.POSITIVE_INFINITY);
  const taken = [...starts];
  let picks = taken;
  while (picks.length > 0) {
    await updateDistances(updateSession, points, distances, picks);
    if (taken.length >= count) break;
    picks = await pickFromBlock(blockSession, points, distances, count - taken.length, distances.length - taken.length);
    taken.push(...picks);
  }
  await Promise.all([blockSession.release(), updateSession.release()]);
  return Int32Array.from(taken);
}

interface Points {
  /** (n, k + 2): [x, 1, |x|²] */
  values: Float32Array;
  width: number;
}

function withSquares(rows: Float32Array, dims: number): Points {
  const [count, width] = [rows.length / dims, dims + 2];
  const values = new Float32Array(count * width);
  for (let row = 0; row < count; row++) {
    let square = 0;
    for (let dim = 0; dim < dims; dim++) {
      const value = rows[row * dims + dim]!;
      values[row * width + dim] = value;
      square += value * value;
    }
    values[row * width + dims] = 1;
    values[row * width + dims + 1] = square;
  }
  return { values, width };
}

/** [x, 1, |x|²] -> [-2x, |x|², 1], whose products with other points are squared distances. */
function addCounterpart(graph: GraphBuilder, points: string, dims: number): string {
  const parts = graph.add('Gather', [points, graph.integers(dims + 1, dims)], { axis: 1 });
  const coordinates = graph.add('Slice', [points, graph.integers(0), graph.integers(dims), graph.integers(1)]);
  return graph.add('Concat', [graph.add('Mul', [coordinates, graph.scalar(-2)]), parts], { axis: 1 });
}

/** The `size` farthest points: their distances (descending, lower places first) and places, and their distances to each other. */
function composeBlockGraph(dims: number): GraphBuilder {
  const graph = createGraphBuilder();
  const points = graph.input('points', 'float32', ['n', dims + 2]);
  const distances = graph.input('distances', 'float32', ['n']);
  const [values, places] = graph.addMulti('TopK', [distances, graph.input('size', 'int64', [1])], { axis: 0 }, 2);
  const block = graph.add('Gather', [points, places!], { axis: 0 });
  graph.output('values', values!);
  graph.output('places', places!, 'int64');
  graph.output('mutual', graph.add('Gemm', [block, addCounterpart(graph, block, dims)], { transB: 1 }));
  return graph;
}

/** The smaller of each point's distance so far and the least distance to the picked points. */
function composeUpdateGraph(dims: number): GraphBuilder {
  const graph = createGraphBuilder();
  const chunk = graph.input('chunk', 'float32', ['rows', dims + 2]);
  const picked = graph.input('picked', 'float32', ['picks', dims + 2]);
  const distances = graph.input('distances', 'float32', ['rows']);
  const products = graph.add('Gemm', [chunk, addCounterpart(graph, picked, dims)], { transB: 1 });
  const least = graph.add('ReduceMin', [products], { axes: [1], keepdims: 0 });
  graph.output('updated', graph.add('Min', [distances, least]));
  return graph;
}

/** Measures all points against the new picks, whose own distances become 0. */
async function updateDistances(
  session: InferenceSession,
  { values, width }: Points,
  distances: Float32Array,
  picks: number[],
) {
  const pickedValues = new Float32Array(picks.length * width);
  picks.forEach((place, index) => {
    pickedValues.set(values.subarray(place * width, (place + 1) * width), index * width);
  });
  const picked = new Tensor('float32', pickedValues, [picks.length, width]);
  for (let from = 0; from < distances.length; from += chunkRows) {
    const to = Math.min(from + chunkRows, distances.length);
    const { updated } = await session.run({
      chunk: new Tensor('float32', values.subarray(from * width, to * width), [to - from, width]),
      distances: new Tensor('float32', distances.subarray(from, to), [to - from]),
      picked,
    });
    distances.set(updated!.data as Float32Array, from);
  }
}

/** Picks greedily among the farthest points as long as no point outside could be as far; none where all distances are 0. */
async function pickFromBlock(
  session: InferenceSession,
  { values: points, width }: Points,
  distances: Float32Array,
  wanted: number,
  unpicked: number,
): Promise<number[]> {
  if (unpicked === 0) return [];
  const size = Math.min(blockRows, unpicked);
  const { values, places, mutual } = await session.run({
    points: new Tensor('float32', points, [distances.length, width]),
    distances: new Tensor('float32', distances, [distances.length]),
    size: new Tensor('int64', BigInt64Array.of(BigInt(size + 1)), [1]), // one pick was made at least, so there are as many
  });
  const block = {
    places: Int32Array.from(places!.data as BigInt64Array, Number),
    distances: values!.data as Float32Array,
    mutual: mutual!.data as Float32Array,
    size,
  };
  return pickGreedily(block, wanted);
}

interface Block {
  /** (size + 1), as `distances`: the last is the farthest row outside. */
  places: Int32Array;
  distances: Float32Array;
  /** (size + 1, size + 1) */
  mutual: Float32Array;
  size: number;
}

function pickGreedily({ places, distances, mutual, size }: Block, wanted: number): number[] {
  const outside = distances[size]!;
  const picks: number[] = [];
  while (picks.length < wanted) {
    let best = 0;
    for (let row = 1; row < size; row++) {
      const difference = distances[row]! - distances[best]!;
      if (difference > 0 || (difference === 0 && places[row]! < places[best]!)) best = row;
    }
    const farthest = distances[best]!;
    // The first pick stands first of all rows even where others are as far; a later one might come after a row outside.
    if (farthest <= 0 || (picks.length > 0 && farthest <= outside)) break;
    picks.push(places[best]!);
    const offset = best * (size + 1);
    for (let row = 0; row < size; row++) distances[row] = Math.min(distances[row]!, mutual[offset + row]!);
  }
  return picks;
}
