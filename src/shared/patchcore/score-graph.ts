import { bankLayers } from '../networks.js';
import { createGraphBuilder, type GraphBuilder } from '../onnx/graph-builder.js';
import type { GraphProto, ModelProto } from '../onnx/model.js';
import {
  addLeadingLayers,
  addPatchVectors,
  gridOf,
  type Neighbourhood,
  type Size,
  type VectorForm,
} from './patch-vectors.js';
import { addResidualDistances, type ResidualModel, subspaceLayers } from './residual-graph.js';

/**
 * The graphs of PatchCore (Roth et al., "Towards Total Recall in Industrial Anomaly Detection", CVPR 2022, arXiv:2106.08265),
 * from 8-bit pixels to patch distances. H, W: model input; h, w: the stride-16 grid; P = h·w patches; C channels of a raw
 * vector; M bank rows; d dimensions.
 */
export interface Projection {
  /** [C, d] */
  matrix: Float32Array;
  /** [d] */
  bias: Float32Array;
}

export interface Bank {
  /** [M, d] */
  rows: Float32Array;
  /** [M] r_j: how far apart the rows lie around row j, relative to the mean. */
  spacing: Float32Array;
  dims: number;
}

/** Columns of the bank that are searched at once: few enough that the products stay in the processor's cache. */
const bankBlockColumns = 2000;

/** pixels (H, W, 3) uint8 -> raw (P, C), their `products` (C, C) and `sums` (C), embedding (1, 1280): what is learned from. */
export function composePatchGraph(network: GraphProto, input: Size, form: VectorForm): ModelProto {
  const graph = createGraphBuilder();
  const raw = addPatchVectors(graph, network, input, form);
  graph.output('raw', raw);
  graph.output('embedding');
  const transposed = graph.add('Transpose', [raw], { perm: [1, 0] });
  graph.output('products', graph.add('MatMul', [transposed, raw]));
  graph.output('sums', graph.add('ReduceSum', [raw, graph.integers(0)], { keepdims: 0 }));
  return graph.build();
}

/** pixels (H, W, 3) uint8 -> projected (P, d), embedding (1, 1280) and, where there is a second projection, `subspaceVectors` (P, d2). */
export function composeProjectionGraph(
  network: GraphProto,
  input: Size,
  neighbourhood: Neighbourhood,
  projection: Projection,
  subspaceProjection?: Projection,
): ModelProto {
  const graph = createGraphBuilder();
  const { raw, joined } = addRawVectors(graph, network, input, neighbourhood, subspaceProjection !== undefined);
  graph.output('projected', addProjection(graph, raw, projection));
  if (subspaceProjection) graph.output('subspaceVectors', addProjection(graph, joined, subspaceProjection));
  graph.output('embedding');
  return graph.build();
}

/** What scoring computes with. */
export interface ScoreModel {
  neighbourhood: Neighbourhood;
  projection: Projection;
  bank: Bank;
  /** Of the score `fused`. */
  residual?: ResidualModel;
}

/**
 * pixels (H, W, 3) uint8 -> distances (P), raw (P, 328), projected (P, d), features (1, 1280, H/32, W/32), embedding (1, 1280)
 * and, with a residual model, residualDistances (P).
 */
export function composeScoreGraph(network: GraphProto, input: Size, model: ScoreModel): ModelProto {
  const graph = createGraphBuilder();
  const { height, width } = gridOf(input);
  const patches = height * width;
  const { raw, joined } = addRawVectors(graph, network, input, model.neighbourhood, model.residual !== undefined);
  const projected = addProjection(graph, raw, model.projection);
  addPatchDistances(graph, projected, patches, model.bank);
  if (model.residual) graph.output('residualDistances', addResidualDistances(graph, joined, patches, model.residual));
  graph.output('raw', raw);
  graph.output('projected', projected);
  graph.output('features');
  graph.output('embedding');
  return graph.build();
}

/** Raw vectors (P, 328) of the bank and, `joined`, of all layers that are looked at. */
function addRawVectors(
  graph: GraphBuilder,
  network: GraphProto,
  input: Size,
  neighbourhood: Neighbourhood,
  withSubspace: boolean,
) {
  const layers = withSubspace ? subspaceLayers : bankLayers;
  const joined = addPatchVectors(graph, network, input, { layers, neighbourhood });
  return { joined, raw: withSubspace ? addLeadingLayers(graph, joined, bankLayers) : joined };
}

function addProjection(graph: GraphBuilder, vectors: string, { matrix, bias }: Projection): string {
  const dims = bias.length;
  const weights = graph.constant(matrix, [matrix.length / dims, dims]);
  return graph.add('Gemm', [vectors, weights, graph.constant(bias, [dims])]);
}

/** projected (P, d) -> distances (P): the search alone, for patches whose vectors are there already. */
export function composeSearchGraph(patches: number, bank: Bank): ModelProto {
  const graph = createGraphBuilder();
  addPatchDistances(graph, graph.input('projected', 'float32', [patches, bank.dims]), patches, bank);
  return graph.build();
}

/**
 * distances (P): D = √max(0, min_j |y - m_j|² / r_j), as one product of [y, |y|², 1] with the columns
 * [-2 m_j / r_j; 1 / r_j; |m_j|² / r_j] of each block of the bank.
 */
function addPatchDistances(graph: GraphBuilder, projected: string, patches: number, bank: Bank): void {
  const squares = graph.add('ReduceSumSquare', [projected], { axes: [1], keepdims: 1 });
  const ones = graph.constant(new Float32Array(patches).fill(1), [patches, 1]);
  const query = graph.add('Concat', [projected, squares, ones], { axis: 1 });
  const count = bank.spacing.length;
  const blocks = Math.ceil(count / bankBlockColumns);
  const minima = Array.from({ length: blocks }, (_, block) => {
    const [from, to] = [Math.floor((block * count) / blocks), Math.floor(((block + 1) * count) / blocks)];
    const columns = graph.constant(bankColumns(bank, from, to), [bank.dims + 2, to - from]);
    return graph.add('ReduceMin', [graph.add('MatMul', [query, columns])], { axes: [1], keepdims: 0 });
  });
  const nearest = graph.add('Max', [graph.add('Min', minima), graph.scalar(0)]);
  graph.output('distances', graph.add('Sqrt', [nearest]));
}

/** [d + 2, to - from]: rows `from` to `to` of the bank as columns. */
function bankColumns({ rows, spacing, dims }: Bank, from: number, to: number): Float32Array {
  const count = to - from;
  const columns = new Float32Array((dims + 2) * count);
  for (let column = 0; column < count; column++) {
    const offset = (from + column) * dims;
    const weight = 1 / spacing[from + column]!;
    let square = 0;
    for (let dim = 0; dim < dims; dim++) {
      const value = rows[offset + dim]!;
      square += value * value;
      columns[dim * count + column] = -2 * value * weight;
    }
    columns[dims * count + column] = weight;
    columns[(dims + 1) * count + column] = square * weight;
  }
  return columns;
}
