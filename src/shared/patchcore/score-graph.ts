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
import { addPatchDistances, type Bank } from './search-graph.js';

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
