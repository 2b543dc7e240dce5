import { PatchlineError } from '../../shared/errors.js';
import type { NodeProto } from '../../shared/onnx/model.js';
import { readTensorValues } from '../../shared/onnx/tensor-values.js';

/** Attributes of a node by name; a list that the node does not have is empty. */
export interface NodeAttributes {
  text(name: string, otherwise: string): string;
  integer(name: string, otherwise: number): number;
  float(name: string, otherwise: number): number;
  texts(name: string): string[];
  integers(name: string): readonly number[];
  /** A list of floats, or the tensor `name`_as_tensor or `name` where the node holds that. */
  numbers(name: string): readonly number[] | Float64Array;
  /** A tensor of small whole numbers. */
  bytes(name: string): ArrayLike<number>;
}

const decoder = new TextDecoder();

export function attributesOf(node: NodeProto): NodeAttributes {
  const attributes = new Map(node.attribute.map((attribute) => [attribute.name, attribute]));
  return {
    text(name, otherwise) {
      const bytes = attributes.get(name)?.s;
      return bytes ? decoder.decode(bytes) : otherwise;
    },
    integer: (name, otherwise) => attributes.get(name)?.i ?? otherwise,
    float: (name, otherwise) => attributes.get(name)?.f ?? otherwise,
    texts: (name) => (attributes.get(name)?.strings ?? []).map((bytes) => decoder.decode(bytes)),
    integers: (name) => attributes.get(name)?.ints ?? [],
    numbers(name) {
      const tensor = (attributes.get(`${name}_as_tensor`) ?? attributes.get(name))?.t;
      return tensor ? readTensorValues(tensor) : (attributes.get(name)?.floats ?? []);
    },
    bytes(name) {
      const tensor = attributes.get(name)?.t;
      return (tensor?.rawData?.length ? tensor.rawData : tensor?.int32Data) ?? [];
    },
  };
}

/** The error for a node that cannot be explained. `trait` completes "…, which …". */
export function nodeNotSupported(node: NodeProto, trait: string): PatchlineError {
  const name = node.name || node.output[0];
  return new PatchlineError(
    'OP_NOT_SUPPORTED',
    `The node ${name} (${node.opType}) cannot be explained by this method: it ${trait}`,
    { details: { node: name, op: node.opType } },
  );
}
