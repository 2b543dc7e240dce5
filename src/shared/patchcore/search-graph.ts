import { createGraphBuilder, type GraphBuilder } from '../onnx/graph-builder.js';
import type { ModelProto } from '../onnx/model.js';

/** The search of PatchCore: how far patches lie from the nearest row of a memory bank. P patches; M bank rows; d dimensions. */

export interface Bank {
  /** [M, d] */
  rows: Float32Array;
  /** [M] r_j: how far apart the rows lie around row j, relative to the mean. */
  spacing: Float32Array;
  dims: number;
}

/** Columns of the bank that are searched at once: few enough that the products stay in the processor's cache. */
const bankBlockColumns = 2000;

/** projected (P, d) -> distances (P): the search alone, for patches whose vectors are there already. */
export function composeSearchGraph(patches: number, bank: Bank): ModelProto {
  const graph = createGraphBuilder();
  addPatchDistances(graph, graph.input('projected', 'float32', [patches, bank.dims]), patches, bank);
  return graph.build();
}

/**
 * distances (P): D = √max(0, min_j |y - m_j|² / r_j), as one product of [y, |y|², 1] with the columns
 * [-2 m_j / r_j; 1 / r_j; |m_j|² / r_j] of each block of the bank.
 *
 * Float32 products lose digits of what is far from the origin, so the bank's mean is subtracted from rows and queries alike, in
 * float32 from both: a query that equals a row stays equal to it. Its D is still not 0 but the square root of what |y|² was
 * rounded by, about 0.0007 |y|; `nearestRow` gives 0.
 */
export function addPatchDistances(graph: GraphBuilder, projected: string, patches: number, bank: Bank): void {
  const mean = meanRow(bank);
  const centred = graph.add('Sub', [projected, graph.constant(mean, [bank.dims])]);
  const squares = graph.add('ReduceSumSquare', [centred], { axes: [1], keepdims: 1 });
  const ones = graph.constant(new Float32Array(patches).fill(1), [patches, 1]);
  const query = graph.add('Concat', [centred, squares, ones], { axis: 1 });
  const count = bank.spacing.length;
  const blocks = Math.ceil(count / bankBlockColumns);
  const minima = Array.from({ length: blocks }, (_, block) => {
    const [from, to] = [Math.floor((block * count) / blocks), Math.floor(((block + 1) * count) / blocks)];
    const columns = graph.constant(bankColumns(bank, mean, from, to), [bank.dims + 2, to - from]);
    return graph.add('ReduceMin', [graph.add('MatMul', [query, columns])], { axes: [1], keepdims: 0 });
  });
  const nearest = graph.add('Max', [graph.add('Min', minima), graph.scalar(0)]);
  graph.output('distances', graph.add('Sqrt', [nearest]));
}

/** (d) */
function meanRow({ rows, spacing, dims }: Bank): Float32Array {
  const sums = new Float64Array(dims);
  for (let index = 0; index < rows.length; index++) sums[index % dims]! += rows[index]!;
  return Float32Array.from(sums, (sum) => sum / spacing.length);
}

/** [d + 2, to - from]: rows `from` to `to` of the bank less its mean, as columns. */
function bankColumns({ rows, spacing, dims }: Bank, mean: Float32Array, from: number, to: number): Float32Array {
  const count = to - from;
  const columns = new Float32Array((dims + 2) * count);
  for (let column = 0; column < count; column++) {
    const offset = (from + column) * dims;
    const weight = 1 / spacing[from + column]!;
    let square = 0;
    for (let dim = 0; dim < dims; dim++) {
      const value = Math.fround(rows[offset + dim]! - mean[dim]!);
      square += value * value;
      columns[dim * count + column] = -2 * value * weight;
    }
    columns[dims * count + column] = weight;
    columns[(dims + 1) * count + column] = square * weight;
  }
  return columns;
}
