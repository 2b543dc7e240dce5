import { randomUUID } from 'node:crypto';
import { type GraphProto, type ModelProto, readModel, type TensorProto, writeModel } from './model.js';

/** A model ready for onnxruntime. Large weights stay beside the graph, so that they are neither copied nor written again. */
export interface PackedModel {
  /** Its own: what sessions are cached by. */
  id: string;
  bytes: Uint8Array;
  /** Values of constants, under the name that the graph has for each. */
  weights: { path: string; data: Uint8Array }[];
}

/** What is worth keeping beside the graph; smaller constants may be axes and shapes, which onnxruntime wants to see in it. */
const leastWeightBytes = 4096;

/** Weights travel between threads without a copy where they lie in shared memory. */
export function packModel(model: ModelProto): PackedModel {
  const weights: PackedModel['weights'] = [];
  const packTensor = (tensor: TensorProto): TensorProto => {
    const { rawData, ...rest } = tensor;
    if (!rawData || rawData.length < leastWeightBytes) return tensor;
    const path = `weights-${weights.length}`;
    weights.push({ path, data: rawData });
    const entries = { location: path, offset: '0', length: String(rawData.length) };
    return { ...rest, dataLocation: 1, externalData: Object.entries(entries).map(([key, value]) => ({ key, value })) };
  };
  const graph: GraphProto = { ...model.graph, initializer: model.graph.initializer.map(packTensor) };
  return { id: randomUUID(), bytes: writeModel({ ...model, graph }), weights };
}

/** The model again; its weights are those of the packed one, not copies. */
export function unpackModel({ bytes, weights }: PackedModel): ModelProto {
  const model = readModel(bytes);
  const data = new Map(weights.map((each) => [each.path, each.data]));
  const unpackTensor = ({ dataLocation, externalData, ...rest }: TensorProto): TensorProto => {
    const location = externalData?.find(({ key }) => key === 'location')?.value;
    return { ...rest, ...(dataLocation === 1 && { rawData: data.get(location!)! }) };
  };
  return { ...model, graph: { ...model.graph, initializer: model.graph.initializer.map(unpackTensor) } };
}
