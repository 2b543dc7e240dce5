import { levelChannels, networkStride, patchVectorLength } from '../networks.js';
import { createGraphBuilder, type GraphBuilder } from '../onnx/graph-builder.js';
import type { GraphProto, ModelProto } from '../onnx/model.js';
import { addPatchDistances, type Bank } from './search-graph.js';

/**
 * The graphs of PatchCore (Roth et al., "Towards Total Recall in Industrial Anomaly Detection", CVPR 2022, arXiv:2106.08265),
 * from 8-bit pixels to patch distances. H, W: model input; h, w: the stride-16 grid; P = h·w patches; M bank rows; d dimensions.
 */
export interface Size {
  height: number;
  width: number;
}

/** Where an image's patches lie: a patch covers 16 × 16 pixels of the model input. */
export const gridOf = ({ height, width }: Size): Size => ({ height: height / patchStride, width: width / patchStride });
export const patchStride = networkStride / 2;

export interface Projection {
  /** [328, d] */
  matrix: Float32Array;
  /** [d] */
  bias: Float32Array;
}

/** pixels (H, W, 3) uint8 -> raw (P, 328), their `products` (328, 328) and `sums` (328), embedding (1, 1280): what is learned from. */
export function composePatchGraph(network: GraphProto, input: Size): ModelProto {
  const graph = createGraphBuilder();
  const raw = addPatchVectors(graph, network, input);
  graph.output('raw', raw);
  graph.output('embedding');
  const transposed = graph.add('Transpose', [raw], { perm: [1, 0] });
  graph.output('products', graph.add('MatMul', [transposed, raw]));
  graph.output('sums', graph.add('ReduceSum', [raw, graph.integers(0)], { keepdims: 0 }));
  return graph.build();
}

/** pixels (H, W, 3) uint8 -> distances (P), raw (P, 328), projected (P, d), features (1, 1280, H/32, W/32), embedding (1, 1280). */
export function composeScoreGraph(network: GraphProto, input: Size, projection: Projection, bank: Bank): ModelProto {
  const graph = createGraphBuilder();
  const { height, width } = gridOf(input);
  const raw = addPatchVectors(graph, network, input);
  const matrix = graph.constant(projection.matrix, [patchVectorLength, bank.dims]);
  const bias = graph.constant(projection.bias, [bank.dims]);
  const projected = graph.add('Gemm', [raw, matrix, bias]);
  addPatchDistances(graph, projected, height * width, bank);
  graph.output('raw', raw);
  graph.output('projected', projected);
  graph.output('features');
  graph.output('embedding');
  return graph.build();
}

/** Standardises the pixels, runs the network and joins both levels on the stride-16 grid: raw patch vectors (P, 328). */
function addPatchVectors(graph: GraphBuilder, network: GraphProto, { height, width }: Size): string {
  graph.include(network, { image: addStandardised(graph, { height, width }) });
  const grid = gridOf({ height, width });
  const stride16 = addNeighbourhoodMean(graph, 'stride16');
  const sizes = graph.integers(1, levelChannels.stride32, grid.height, grid.width);
  const stride32 = graph.add('Resize', [addNeighbourhoodMean(graph, 'stride32'), '', '', sizes], {
    mode: 'linear',
    coordinate_transformation_mode: 'half_pixel',
  });
  const joined = graph.add('Concat', [stride16, stride32], { axis: 1 });
  const columns = graph.add('Reshape', [joined, graph.integers(patchVectorLength, grid.height * grid.width)]);
  return graph.add('Transpose', [columns], { perm: [1, 0] });
}

/** clip((x - mean) / (std + 0.02) · 0.2 + 0.45, -0.5, 1.5) over all values x of the image, in 0..1: evens out exposure. */
function addStandardised(graph: GraphBuilder, { height, width }: Size): string {
  const pixels = graph.input('pixels', 'uint8', [height, width, 3]);
  const values = graph.add('Mul', [graph.add('Cast', [pixels], { to: 1 }), graph.scalar(1 / 255)]);
  const planes = graph.add('Transpose', [values], { perm: [2, 0, 1] });
  const image = graph.add('Reshape', [planes, graph.integers(1, 3, height, width)]);
  const centred = graph.add('Sub', [image, graph.add('ReduceMean', [image])]);
  const variance = graph.add('ReduceMean', [graph.add('Mul', [centred, centred])]);
  const deviation = graph.add('Add', [graph.add('Sqrt', [variance]), graph.scalar(0.02)]);
  const gain = graph.add('Div', [graph.scalar(0.2), deviation]);
  const shifted = graph.add('Add', [graph.add('Mul', [centred, gain]), graph.scalar(0.45)]);
  return graph.add('Clip', [shifted, graph.scalar(-0.5), graph.scalar(1.5)]);
}

/** Mean over 3 × 3 positions, at the border over those inside. */
function addNeighbourhoodMean(graph: GraphBuilder, tensor: string): string {
  const window = { kernel_shape: [3, 3], pads: [1, 1, 1, 1], strides: [1, 1] };
  return graph.add('AveragePool', [tensor], { ...window, count_include_pad: 0 });
}
