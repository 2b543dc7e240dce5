import { Tensor } from 'onnxruntime-node';
import { createGraphBuilder } from '../shared/onnx/graph-builder.js';
import { type ModelProto, writeModel } from '../shared/onnx/model.js';
import { createSession } from '../shared/onnx/session.js';

/**
 * Squared distances between rows of whole numbers. n rows, k dimensions.
 *
 * On a grid of integers every squared distance is a whole number that float32 holds exactly, however the products are grouped:
 * |x|² - 2 x·m + |m|² loses nothing, on any machine.
 */

/** How far rows may lie from the origin: |x|² + |m|² + 2|x||m| stays below 2²⁴, the last whole number of float32. */
const gridRadius = 2000;
/** Rows measured by one product: more would leave the processor's cache. */
const chunkRows = 4096;

/** Scales rows (n, k) about the origin and rounds them to whole numbers, in place; the farthest gets the norm 2,000. */
export function snapToGrid(rows: Float32Array, dims: number): void {
  const largest = squaredNorms(rows, dims).reduce((most, square) => Math.max(most, square), 0);
  const scale = largest > 0 ? gridRadius / Math.sqrt(largest) : 0;
  for (let index = 0; index < rows.length; index++) rows[index] = Math.round(rows[index]! * scale);
}

function squaredNorms(rows: Float32Array, dims: number): Float64Array {
  const squares = new Float64Array(rows.length / dims);
  for (let row = 0, index = 0; row < squares.length; row++) {
    let square = 0;
    for (const end = index + dims; index < end; index++) square += rows[index]! * rows[index]!;
    squares[row] = square;
  }
  return squares;
}

/** Of the rows with these numbers, to the `others`. */
export interface GridDistances {
  /** (numbers, others) */
  all(numbers: Int32Array, others: Int32Array): Promise<Float32Array>;
  /** (numbers) the least of each */
  least(numbers: Int32Array, others: Int32Array): Promise<Float32Array>;
  release(): Promise<void>;
}

/** @param rows (n, k) of whole numbers with norms up to 2,000, see `snapToGrid`; read in place, so not in shared memory */
export async function createGridDistances(rows: Float32Array, dims: number): Promise<GridDistances> {
  const count = rows.length / dims;
  const fixed = {
    rows: new Tensor('float32', rows, [count, dims]),
    squares: new Tensor('float32', Float32Array.from(squaredNorms(rows, dims)), [count, 1]),
  };
  const [allSession, leastSession] = await Promise.all(
    [false, true].map((isLeast) => createSession(writeModel(composeDistances(dims, isLeast)))),
  );
  const measureWith = (session: typeof allSession, width: (others: number) => number) =>
    async function measure(numbers: Int32Array, others: Int32Array): Promise<Float32Array> {
      const distances = new Float32Array(numbers.length * width(others.length));
      for (let from = 0; from < numbers.length; from += chunkRows) {
        const chunk = numbers.subarray(from, from + chunkRows);
        const results = await session!.run({
          ...fixed,
          numbers: new Tensor('int32', chunk, [chunk.length]),
          others: new Tensor('int32', others, [others.length]),
        });
        distances.set(results.distances!.data as Float32Array, from * width(others.length));
      }
      return distances;
    };
  return {
    all: measureWith(allSession, (others) => others),
    least: measureWith(leastSession, () => 1),
    async release() {
      await Promise.all([allSession!.release(), leastSession!.release()]);
    },
  };
}

/** |x|² + (|m|² - 2 x·m), or |x|² and the least of the others. */
function composeDistances(dims: number, isLeast: boolean): ModelProto {
  const graph = createGraphBuilder();
  const rows = graph.input('rows', 'float32', ['n', dims]);
  const squares = graph.input('squares', 'float32', ['n', 1]);
  const numbers = graph.input('numbers', 'int32', ['numbers']);
  const others = graph.input('others', 'int32', ['others']);
  const take = (from: string, which: string) => graph.add('Gather', [from, which], { axis: 0 });
  const squaresOfOthers = graph.add('Transpose', [take(squares, others)], { perm: [1, 0] });
  const products = graph.add('Gemm', [take(rows, numbers), take(rows, others), squaresOfOthers], {
    ...{ alpha: { float: -2 }, transB: 1 },
  });
  const parts = isLeast ? graph.add('ReduceMin', [products], { axes: [1], keepdims: 1 }) : products;
  graph.output('distances', graph.add('Add', [parts, take(squares, numbers)]));
  return graph.build();
}
