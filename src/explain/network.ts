import { Tensor } from 'onnxruntime-node';
import { PatchlineError } from '../shared/errors.js';
import { suggestionFor } from '../shared/nearest-name.js';
import { inputsOf } from '../shared/onnx/graph-builder.js';
import { elementTypes, type ModelProto, type ValueInfoProto } from '../shared/onnx/model.js';
import type { FloatTensor } from '../shared/onnx/run-graph.js';
import { type TracedTensors, traceTensors } from '../shared/onnx/traced-tensors.js';

/** A classifier bound to inputs of one shape, ready to be explained. */
export interface Network {
  /** As its file has it: axes may be open. */
  model: ModelProto;
  tensors: TracedTensors;
  input: string;
  /** (N, …) */
  inputDims: readonly number[];
  /** Name of the class scores, (N, K). */
  output: string;
  samples: number;
  classes: number;
}

/**
 * Binds a model to an input: runs it once to learn what all its tensors are.
 *
 * @param output name of the class scores, any tensor of shape (N, K); by default the output `logits`, else the only output of
 * two axes
 * @throws MODEL_INPUT_MISMATCH where the model does not take this input, VALUES_NOT_FINITE, ARGUMENT_INVALID where it is open or
 * wrong which output is meant
 */
export async function bindNetwork(model: ModelProto, x: FloatTensor, output?: string): Promise<Network> {
  const input = theInput(model);
  assertFits(input, x);
  const index = x.data.findIndex((value) => !Number.isFinite(value));
  if (index >= 0) {
    const message = `Expected finite values for the input but received ${x.data[index]} as value ${index} in C order`;
    throw new PatchlineError('VALUES_NOT_FINITE', message);
  }
  const tensors = await traceTensors(model, { [input.name]: new Tensor('float32', x.data, x.dims) });
  const scores = findScores(model, tensors, x.dims[0]!, output);
  const [samples, classes] = tensors.get(scores)!.dims as [number, number];
  return { model, tensors, input: input.name, inputDims: x.dims, output: scores, samples, classes };
}

/** The input that has to be fed: only one can be explained. */
export function theInput(model: ModelProto): ValueInfoProto {
  const inputs = inputsOf(model.graph);
  if (inputs.length === 1) return inputs[0]!;
  const names = inputs.map(({ name }) => name).join(', ');
  throw new PatchlineError(
    'MODEL_INPUT_MISMATCH',
    `Expected a model with one input but received one with ${inputs.length}${names && `: ${names}`}; only one can be ` +
      'explained, the others have to be constants of the model',
  );
}

/** What the file declares: a number, else the name of an open axis. */
export const declaredDims = ({ type }: ValueInfoProto): (number | string)[] | undefined =>
  type?.tensorType?.shape?.dim.map(({ dimValue, dimParam }) => dimValue ?? (dimParam || '?'));

function assertFits(input: ValueInfoProto, { dims }: FloatTensor): void {
  const declared = declaredDims(input);
  const elementType = input.type?.tensorType?.elemType;
  const [type] = Object.entries(elementTypes).find(([, code]) => code === elementType) ?? ['another type'];
  const fits =
    dims.length > 0 &&
    dims.every((size) => size > 0) &&
    (!declared ||
      (declared.length === dims.length &&
        declared.every((size, axis) => typeof size === 'string' || size === dims[axis])));
  if (fits && type === 'float32') return;
  throw new PatchlineError(
    'MODEL_INPUT_MISMATCH',
    `Expected ${type} of [${declared?.join(', ') ?? 'any shape'}] for the input ${input.name} of the model but received ` +
      `float32 of [${dims.join(', ')}]${type === 'float32' ? '' : ': only a float32 input can be explained'}`,
  );
}

function findScores({ graph }: ModelProto, tensors: TracedTensors, samples: number, wanted?: string): string {
  const names = graph.output.map(({ name }) => name);
  const isScores = (name: string) => {
    const { dims, type } = tensors.get(name) ?? {};
    return dims?.length === 2 && dims[0] === samples && type?.startsWith('float');
  };
  const [only, another] = names.filter(isScores);
  const fallback = names.includes('logits') ? 'logits' : another === undefined ? only : undefined;
  const found = wanted ?? fallback;
  if (found !== undefined && isScores(found)) return found;
  const describe = (name: string) => `${name} [${tensors.get(name)?.dims.join(', ') ?? 'unknown'}]`;
  const received =
    found === undefined ? 'none' : `${tensors.has(found) ? describe(found) : found}${suggestionFor(found, names)}`;
  throw new PatchlineError(
    'ARGUMENT_INVALID',
    `Expected the name of the class scores, float of [${samples}, classes], for --output but received ${received}; ` +
      `the outputs of the model are ${names.map(describe).join(', ')}`,
  );
}
