import type { Tensor } from 'onnxruntime-node';
import { messageOf, PatchlineError } from '../errors.js';
import { createGraphBuilder, namesReadBy } from './graph-builder.js';
import { type ElementType, elementTypes, type ModelProto, type NodeProto } from './model.js';
import { packModel } from './packed-model.js';
import { createSession, isOfUnknownOp } from './session.js';
import { readTensorValues } from './tensor-values.js';

/** What a tensor of a graph turned out to be for inputs of a certain shape. */
export interface TracedTensor {
  type: ElementType;
  dims: readonly number[];
  /** In C order, where they are the same for all inputs of these shapes: constants and what is computed from shapes. */
  values?: () => ArrayLike<number>;
}

export type TracedTensors = ReadonlyMap<string, TracedTensor>;

/** Integers beyond so many are data, not shapes, axes or places. */
const mostShapeValues = 4096;

/**
 * Shape inference by running: the graph is run once with every tensor as a result, so that shapes are right for any operator and
 * for axes of any size, and what a graph computes from shapes is known too. It holds for inputs of the shapes of `feeds` only.
 *
 * @param feeds by input name; values do not matter unless shapes depend on them
 * @throws MODEL_INPUT_MISMATCH where the graph does not run on these inputs, OP_NOT_SUPPORTED where onnxruntime lacks an operator
 */
export async function traceTensors(model: ModelProto, feeds: Record<string, Tensor>): Promise<TracedTensors> {
  const traced = new Map<string, TracedTensor>();
  for (const tensor of model.graph.initializer) {
    const type = typeNames.get(tensor.dataType);
    if (type) traced.set(tensor.name!, { type, dims: tensor.dims, values: once(() => readTensorValues(tensor)) });
  }
  for (const [name, { type, dims }] of Object.entries(feeds)) traced.set(name, { type: type as ElementType, dims });
  const depending = valuesDependingOn(model.graph.node, Object.keys(feeds));
  for (const [name, tensor] of Object.entries(await runAll(model, feeds))) {
    const isFixed = !depending.has(name) && (isInteger(tensor.type) ? tensor.size <= mostShapeValues : true);
    const type = tensor.type as ElementType;
    traced.set(name, { type, dims: tensor.dims, ...(isFixed && { values: () => numbersOf(tensor) }) });
  }
  return traced;
}

/** Every tensor that a node makes. Types are left out, because onnxruntime infers them. */
async function runAll(model: ModelProto, feeds: Record<string, Tensor>): Promise<Record<string, Tensor>> {
  const graph = createGraphBuilder({ base: model }).build().graph;
  const names = model.graph.node.filter(({ opType }) => !isSequence(opType)).flatMap(({ output }) => output);
  const output = names.filter(Boolean).map((name) => ({ name }));
  const exposed = { ...model, graph: { ...model.graph, input: graph.input, output } };
  try {
    const { bytes, weights } = packModel(exposed);
    const session = await createSession(bytes, 'disabled', weights);
    const results = await session.run(feeds);
    await session.release();
    return results as Record<string, Tensor>;
  } catch (cause) {
    const code = isOfUnknownOp(cause) ? 'OP_NOT_SUPPORTED' : 'MODEL_INPUT_MISMATCH';
    const dims = Object.values(feeds).map((tensor) => `[${tensor.dims.join(', ')}]`);
    const message = `Expected a model that runs on an input of ${dims.join(', ')} but ${messageOf(cause)}`;
    throw new PatchlineError(code, message, { cause });
  }
}

/** Lists of tensors are no tensors: onnxruntime has no way to hand them out here. */
const isSequence = (opType: string) => /Sequence|Optional/.test(opType);

/** Tensors whose values, not only their shapes, follow from `inputs`. */
function valuesDependingOn(nodes: readonly NodeProto[], inputs: readonly string[]): Set<string> {
  const depending = new Set(inputs);
  for (const node of nodes) {
    if (node.opType === 'Shape' || node.opType === 'Size') continue;
    const isRandom = node.opType.startsWith('Random') || node.opType === 'Bernoulli' || node.opType === 'Multinomial';
    if (isRandom || namesReadBy(node).some((name) => depending.has(name))) {
      for (const name of node.output) depending.add(name);
    }
  }
  return depending;
}

const typeNames = new Map(Object.entries(elementTypes).map(([type, code]) => [code as number, type as ElementType]));
const isInteger = (type: string) => !type.startsWith('float');
const numbersOf = ({ data }: Tensor): ArrayLike<number> => Array.from(data as ArrayLike<number | bigint>, Number);

function once<T>(make: () => T): () => T {
  let made: { value: T } | undefined;
  return () => {
    made ??= { value: make() };
    return made.value;
  };
}
