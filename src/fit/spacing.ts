import { Tensor } from 'onnxruntime-node';
import { createGraphBuilder } from '../shared/onnx/graph-builder.js';
import { writeModel } from '../shared/onnx/model.js';
import { createSession } from '../shared/onnx/session.js';

/** How far apart the bank's rows lie in different regions. M bank rows, d dimensions. */

const neighbours = 5;
/** Candidates found in float32, from which the nearest are chosen in float64: the expansion of |a - b|² loses digits. */
const candidates = 16;
const chunkRows = 512;
const smallestSpacing = 0.001;

/**
 * r_j (M): the mean distance of row j to its 5 nearest other rows, relative to the mean over all rows. 1 everywhere if the bank
 * keeps more than half of the patches or has 6 rows or fewer: then it says nothing about how dense a region is.
 *
 * @param rows (M, d)
 */
export async function spacingOf(rows: Float32Array, dims: number, patches: number): Promise<Float32Array> {
  const count = rows.length / dims;
  if (count > patches / 2 || count <= neighbours + 1) return new Float32Array(count).fill(1);
  const size = Math.min(candidates, count);
  const session = await createSession(writeModel(composeCandidateGraph(rows, dims, size)));
  const spacing = new Float32Array(count);
  for (let from = 0; from < count; from += chunkRows) {
    const chunk = rows.subarray(from * dims, Math.min(from + chunkRows, count) * dims);
    const { places } = await session.run({ chunk: new Tensor('float32', chunk, [chunk.length / dims, dims]) });
    const found = places!.data as BigInt64Array;
    for (let index = 0; index < chunk.length / dims; index++) {
      const others = found.subarray(index * size, (index + 1) * size);
      spacing[from + index] = meanNearestDistance(rows, dims, from + index, others);
    }
  }
  await session.release();
  const mean = spacing.reduce((sum, distance) => sum + distance, 0) / count;
  return spacing.map((distance) => (mean > 0 ? Math.max(distance / mean, smallestSpacing) : 1));
}

/** For each row of a chunk, the `size` rows with the least |m|² - 2 x·m, which order as the distances do. */
function composeCandidateGraph(rows: Float32Array, dims: number, size: number) {
  const graph = createGraphBuilder();
  const count = rows.length / dims;
  const chunk = graph.input('chunk', 'float32', ['rows', dims]);
  const squares = Float32Array.from({ length: count }, (_, row) => squaredNorm(rows, dims, row));
  const inputs = [chunk, graph.constant(rows, [count, dims]), graph.constant(squares, [count])];
  const products = graph.add('Gemm', inputs, { alpha: { float: -2 }, transB: 1 });
  const [, places] = graph.addMulti('TopK', [products, graph.integers(size)], { largest: 0 }, 2);
  graph.output('places', places!, 'int64');
  return graph.build();
}

function squaredNorm(rows: Float32Array, dims: number, row: number): number {
  let square = 0;
  for (let index = row * dims; index < (row + 1) * dims; index++) square += rows[index]! ** 2;
  return square;
}

function meanNearestDistance(rows: Float32Array, dims: number, row: number, others: BigInt64Array): number {
  const distances: number[] = [];
  for (const place of others) {
    const other = Number(place);
    if (other === row) continue;
    let square = 0;
    for (let dim = 0; dim < dims; dim++) square += (rows[row * dims + dim]! - rows[other * dims + dim]!) ** 2;
    distances.push(Math.sqrt(square));
  }
  const nearest = distances.sort((a, b) => a - b).slice(0, neighbours);
  return nearest.reduce((sum, distance) => sum + distance, 0) / nearest.length;
}
