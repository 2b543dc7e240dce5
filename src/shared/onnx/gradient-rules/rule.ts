import { PatchlineError } from '../../errors.js';
import type { GraphBuilder } from '../graph-builder.js';
import { attributeTypes, type ElementType, type NodeProto } from '../model.js';

/**
 * How non-linear operators pass a gradient on: `standard` by the chain rule; `guided`: ReLU and Clip pass only what is positive
 * (guided backpropagation, arXiv:1412.6806); `deeplift-rescale`: the first half of the batch are samples, the second half their
 * references, and a non-linear operator passes on Δoutput / Δinput between the two (DeepLIFT, arXiv:1704.02685, Eq. 7).
 */
export type PropagationRules = 'standard' | 'guided' | 'deeplift-rescale';

/** A node of the forward graph with all that its rule needs to append the backward nodes. */
export interface RuleContext {
  node: NodeProto;
  /** Version of the operator set that the model's nodes, and so the appended ones, are written in. */
  opset: number;
  rules: PropagationRules;
  graph: GraphBuilder;
  /** Gradient by each output of the node, of the output's shape; undefined where nothing depends on it. */
  outputGradients: readonly (string | undefined)[];
  /** Which inputs a gradient is wanted by. */
  wanted: readonly boolean[];
  dims(tensor: string): readonly number[];
  type(tensor: string): ElementType;
  /** Values that are the same for every input: of constants and of what is computed from shapes; else undefined. */
  values(tensor: string | undefined): ArrayLike<number> | undefined;
  /** A constant without axes, of the element type of `like`. */
  scalar(value: number, like: string): string;
}

/**
 * Appends what turns gradients by the node's outputs into gradients by its inputs: the vector-Jacobian product.
 *
 * @returns for each wanted input the name of its gradient, of the input's shape; undefined where it is zero
 */
export type GradientRule = (context: RuleContext) => (string | undefined)[];

/** Rules by operator, of the domain of ONNX itself. */
export type GradientRules = Readonly<Record<string, GradientRule>>;

const attributeOf = ({ node }: Pick<RuleContext, 'node'>, name: string) =>
  node.attribute.find((attribute) => attribute.name === name);

type WithNode = Pick<RuleContext, 'node'>;

export const intAttribute = (context: WithNode, name: string): number | undefined => attributeOf(context, name)?.i;

export const floatAttribute = (context: WithNode, name: string): number | undefined => attributeOf(context, name)?.f;

export function intsAttribute(context: WithNode, name: string): readonly number[] | undefined {
  const attribute = attributeOf(context, name);
  return attribute?.type === attributeTypes.ints ? (attribute.ints ?? []) : undefined;
}

export function textAttribute(context: WithNode, name: string): string | undefined {
  const bytes = attributeOf(context, name)?.s;
  return bytes && new TextDecoder().decode(bytes);
}

/** A node as messages name it. */
export const describeNode = ({ opType, domain, name, output }: NodeProto): string =>
  `${domain ? `${domain}.` : ''}${opType} (node ${name || output[0]})`;

/** Throws OP_NOT_SUPPORTED for a form of an operator that its rule does not cover; `expected` and `received` complete the message. */
export function unsupported(
  { node, opset }: Pick<RuleContext, 'node' | 'opset'>,
  expected: string,
  received: string,
): never {
  throw new PatchlineError(
    'OP_NOT_SUPPORTED',
    `Expected ${expected} for a gradient through ${describeNode(node)} in opset ${opset} but received ${received}`,
    { details: { opset, nodes: [{ op: node.opType, node: node.name || node.output[0] }] } },
  );
}
