import { PatchlineError } from '../shared/errors.js';
import { createGraphBuilder, namesReadBy } from '../shared/onnx/graph-builder.js';
import { elementTypes, type ModelProto } from '../shared/onnx/model.js';
import type { FloatTensor, FloatTensors } from '../shared/onnx/run-graph.js';
import type { Network } from './network.js';

/** What lies between a layer and the class scores: a model that takes the layer's values. */
export interface Head {
  model: ModelProto;
  /** What to feed it for activations (N, C, h, w) of the input x. */
  feeds(activations: FloatTensor, x: FloatTensor): FloatTensors;
}

/**
 * A way round the layer, such as a residual connection, makes the input of the network an input of the head too.
 *
 * @throws OP_NOT_SUPPORTED for a layer that is not float32
 */
export function cutHead({ model, input, output, tensors }: Network, layer: string): Head {
  const { graph } = model;
  const { type, dims } = tensors.get(layer)!;
  if (type !== 'float32') {
    throw new PatchlineError('OP_NOT_SUPPORTED', `Expected float32 values in the layer ${layer} but they are ${type}`);
  }
  const node = graph.node.map((each) => ({
    ...each,
    output: each.output.map((name) => (name === layer ? `${layer}.before` : name)),
  }));
  const shape = { dim: dims.map((dimValue, axis) => (axis === 0 ? { dimParam: `${layer}.batch` } : { dimValue })) };
  const layerInput = { name: layer, type: { tensorType: { elemType: elementTypes.float32, shape } } };
  const valueInfo = (graph.valueInfo ?? []).filter(({ name }) => name !== layer);
  const cut = createGraphBuilder({
    base: { ...model, graph: { ...graph, node, valueInfo, input: [...graph.input, layerInput] } },
  });
  cut.output(output, output, tensors.get(output)!.type);
  const built = cut.build();
  const read = new Set(built.graph.node.flatMap(namesReadBy));
  const inputs = built.graph.input.filter(({ name }) => read.has(name));
  const isBypassed = inputs.some(({ name }) => name === input);
  return {
    model: { ...built, graph: { ...built.graph, input: inputs } },
    feeds: (activations, x) => ({ [layer]: activations, ...(isBypassed && { [input]: x }) }),
  };
}
