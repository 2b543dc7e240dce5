import { type LayerName, layers, networkStride, vectorLength } from '../networks.js';
import type { GraphBuilder } from '../onnx/graph-builder.js';
import type { GraphProto } from '../onnx/model.js';

/** H, W: model input; h, w: the stride-16 grid; P = h·w patches; C channels of a patch vector. */
export interface Size {
  height: number;
  width: number;
}

/** Where an image's patches lie: a patch covers 16 × 16 pixels of the model input. */
export const gridOf = ({ height, width }: Size): Size => ({ height: height / patchStride, width: width / patchStride });
export const patchStride = networkStride / 2;

/** What a 3 × 3 mean counts at the border: `inside` only what is there, `padded` zeros beyond it, as in the literature. */
export const neighbourhoods = ['inside', 'padded'] as const;
export type Neighbourhood = (typeof neighbourhoods)[number];

/** How patch vectors are made. */
export interface VectorForm {
  layers: readonly LayerName[];
  neighbourhood: Neighbourhood;
}

/** Standardises the pixels, runs the network and joins its layers on the stride-16 grid: raw patch vectors (P, C). */
export function addPatchVectors(graph: GraphBuilder, network: GraphProto, input: Size, form: VectorForm): string {
  graph.include(network, { image: addStandardised(graph, input) });
  const tensors = form.layers.map((name) => ({ tensor: tensorOf(network, name), ...layers[name] }));
  return addJoinedLayers(graph, tensors, gridOf(input), form.neighbourhood);
}

/** In a quantised network some layers can only be had behind the operator that makes them float again. */
function tensorOf(network: GraphProto, layer: LayerName): string {
  return network.node.some(({ output }) => output.includes(layer)) ? layer : `${layer}_dq`;
}

export interface LayerTensor {
  /** (1, channels, H / stride, W / stride) */
  tensor: string;
  channels: number;
  stride: number;
}

/**
 * Patch vectors (P, C) of the neighbourhood means of several layers, one beside the other: finer layers averaged to the grid,
 * coarser ones interpolated (half-pixel bilinear).
 */
export function addJoinedLayers(
  graph: GraphBuilder,
  tensors: readonly LayerTensor[],
  grid: Size,
  neighbourhood: Neighbourhood,
): string {
  const onGrid = tensors.map(({ tensor, channels, stride }) => {
    const mean = addNeighbourhoodMean(graph, tensor, neighbourhood);
    if (stride === patchStride) return mean;
    if (stride < patchStride) {
      const side = patchStride / stride;
      return graph.add('AveragePool', [mean], { kernel_shape: [side, side], strides: [side, side] });
    }
    const sizes = graph.integers(1, channels, grid.height, grid.width);
    return graph.add('Resize', [mean, '', '', sizes], {
      mode: 'linear',
      coordinate_transformation_mode: 'half_pixel',
    });
  });
  const joined = graph.add('Concat', onGrid, { axis: 1 });
  const length = tensors.reduce((sum, { channels }) => sum + channels, 0);
  const columns = graph.add('Reshape', [joined, graph.integers(length, grid.height * grid.width)]);
  return graph.add('Transpose', [columns], { perm: [1, 0] });
}

function addNeighbourhoodMean(graph: GraphBuilder, tensor: string, neighbourhood: Neighbourhood): string {
  const window = { kernel_shape: [3, 3], pads: [1, 1, 1, 1], strides: [1, 1] };
  return graph.add('AveragePool', [tensor], { ...window, count_include_pad: neighbourhood === 'padded' ? 1 : 0 });
}

/** The first columns of raw vectors (P, C): those of the layers that stand first. */
export function addLeadingLayers(graph: GraphBuilder, raw: string, names: readonly LayerName[]): string {
  return graph.add('Slice', [raw, graph.integers(0), graph.integers(vectorLength(names)), graph.integers(1)]);
}

function addStandardised(graph: GraphBuilder, { height, width }: Size): string {
  const pixels = graph.input('pixels', 'uint8', [height, width, 3]);
  const values = graph.add('Mul', [graph.add('Cast', [pixels], { to: 1 }), graph.scalar(1 / 255)]);
  const planes = graph.add('Transpose', [values], { perm: [2, 0, 1] });
  return addEvenExposure(graph, graph.add('Reshape', [planes, graph.integers(1, 3, height, width)]));
}

/**
 * clip((x - mean) / (std + 0.02) · 0.2 + 0.45, -0.5, 1.5) over all values x of an image, in 0..1: evens out exposure.
 *
 * @param axes over which means are taken, by default all: those of one image where there are several
 */
export function addEvenExposure(graph: GraphBuilder, image: string, axes?: readonly number[]): string {
  const mean = (tensor: string) => graph.add('ReduceMean', [tensor], axes && { axes });
  const centred = graph.add('Sub', [image, mean(image)]);
  const variance = mean(graph.add('Mul', [centred, centred]));
  const deviation = graph.add('Add', [graph.add('Sqrt', [variance]), graph.scalar(0.02)]);
  const gain = graph.add('Div', [graph.scalar(0.2), deviation]);
  const shifted = graph.add('Add', [graph.add('Mul', [centred, gain]), graph.scalar(0.45)]);
  return graph.add('Clip', [shifted, graph.scalar(-0.5), graph.scalar(1.5)]);
}
