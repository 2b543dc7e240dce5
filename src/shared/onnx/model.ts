import { fileURLToPath } from 'node:url';
import protobuf from 'protobufjs';
import { messageOf, PatchlineError } from '../errors.js';

/**
 * ONNX models as plain objects, read and written by the published schema (onnx-ml.proto). The interfaces name what patchline
 * works with; every other field of a file is kept as it was read. int64 values are numbers.
 */
export interface ModelProto {
  irVersion: number;
  opsetImport: { domain?: string; version: number }[];
  producerName?: string;
  graph: GraphProto;
  /** What else the maker of the file says of the model, by distinct keys. */
  metadataProps?: { key: string; value: string }[];
}

export interface GraphProto {
  name?: string;
  /** In topological order. */
  node: NodeProto[];
  initializer: TensorProto[];
  input: ValueInfoProto[];
  output: ValueInfoProto[];
  valueInfo?: ValueInfoProto[];
}

export interface NodeProto {
  opType: string;
  /** '' for an optional input that is left out. */
  input: string[];
  output: string[];
  name?: string;
  domain?: string;
  attribute: AttributeProto[];
}

export interface AttributeProto {
  name: string;
  type: number;
  f?: number;
  i?: number;
  s?: Uint8Array;
  t?: TensorProto;
  g?: GraphProto;
  floats?: number[];
  ints?: number[];
  strings?: Uint8Array[];
}

export interface TensorProto {
  name?: string;
  dims: number[];
  /** One of `elementTypes`. */
  dataType: number;
  /** Little-endian values; files may use one of the typed fields instead. */
  rawData?: Uint8Array;
  floatData?: number[];
  int32Data?: number[];
  int64Data?: number[];
  doubleData?: number[];
  /** 1: the values lie in another file. */
  dataLocation?: number;
  /** Then its location beside the model, offset and length. */
  externalData?: { key: string; value: string }[];
}

export interface ValueInfoProto {
  name: string;
  type?: { tensorType?: { elemType: number; shape?: { dim: { dimValue?: number; dimParam?: string }[] } } };
}

/** TensorProto.DataType */
export const elementTypes = {
  float32: 1,
  uint8: 2,
  int8: 3,
  int32: 6,
  int64: 7,
  string: 8,
  bool: 9,
  float16: 10,
  float64: 11,
} as const;
export type ElementType = keyof typeof elementTypes;

/** AttributeProto.AttributeType */
export const attributeTypes = {
  float: 1,
  int: 2,
  string: 3,
  tensor: 4,
  graph: 5,
  floats: 6,
  ints: 7,
  strings: 8,
} as const;

const modelType = protobuf
  .loadSync(fileURLToPath(new URL('./onnx-ml.proto', import.meta.url)))
  .lookupType('onnx.ModelProto');

/** Throws MODEL_DAMAGED where the bytes are no ONNX model. `name` stands in the message. */
export function readModel(bytes: Uint8Array, name = 'model'): ModelProto {
  let model: Partial<ModelProto>;
  try {
    model = modelType.toObject(modelType.decode(bytes), { longs: Number, arrays: true });
  } catch (cause) {
    throw new PatchlineError('MODEL_DAMAGED', `Expected an ONNX model in ${name} but ${messageOf(cause)}`, { cause });
  }
  if (!model.graph?.node.length || !model.opsetImport?.length) {
    throw new PatchlineError('MODEL_DAMAGED', `Expected an ONNX model in ${name} but it holds no graph`);
  }
  return model as ModelProto;
}

export function writeModel(model: ModelProto): Uint8Array {
  return modelType.encode(modelType.fromObject(model)).finish();
}
