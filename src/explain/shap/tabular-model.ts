import { type InferenceSession, Tensor } from 'onnxruntime-node';
import { messageOf, PatchlineError } from '../../shared/errors.js';
import { inputsOf } from '../../shared/onnx/graph-builder.js';
import {
  elementTypes,
  type ModelProto,
  type NodeProto,
  type ValueInfoProto,
  writeModel,
} from '../../shared/onnx/model.js';
import { createSession } from '../../shared/onnx/session.js';

// D features; a row is the D values of all inputs, one input after the other.

/** A model of rows, and which of its tensors is explained. */
export interface TabularModel {
  proto: ModelProto;
  inputs: TabularInput[];
  D: number;
  /** The node that makes each tensor. */
  makers: ReadonlyMap<string, NodeProto>;
  /** Name of the explained output. */
  output: string;
  /** The tensor that it passes on: scores as (N, K). */
  scores: string;
}

export interface TabularInput {
  name: string;
  type: InputType;
  /** Axes after that of the rows. */
  axes: number[];
  /** Features of this input, and of those before it. */
  width: number;
  offset: number;
  /** Rows in one run, where the model fixes them. */
  batch?: number;
}

/** How values are given to onnxruntime. */
const inputTypes = {
  float32: (values: Float64Array) => Float32Array.from(values),
  float64: (values: Float64Array) => values,
  int32: (values: Float64Array) => Int32Array.from(values),
  int64: (values: Float64Array) => BigInt64Array.from(values, (value) => BigInt(Math.trunc(value))),
} as const;
type InputType = keyof typeof inputTypes;

/**
 * What a model takes and what of it is explained: `output`, else its output `logits`, else its only scores of shape (N, K).
 *
 * @param axes of a row of the data
 * @throws MODEL_INPUT_MISMATCH where the model does not take such rows, ARGUMENT_INVALID where it is open what is explained
 */
export function openTabularModel(proto: ModelProto, axes: readonly number[], output?: string): TabularModel {
  const inputs = readInputs(proto, axes);
  const D = inputs.reduce((sum, { width }) => sum + width, 0);
  const makers = new Map(proto.graph.node.flatMap((node) => node.output.map((name) => [name, node] as const)));
  const explained = chooseOutput(proto, makers, output);
  return { proto, inputs, D, makers, output: explained, scores: skipPassing(makers, explained) };
}

/** The inputs that are no constants. */
export const inputNamesOf = ({ graph }: ModelProto): string[] => inputsOf(graph).map(({ name }) => name);

/** How many features a row has, where the model fixes that. */
export function featureCountOf(proto: ModelProto): number | undefined {
  const names = inputNamesOf(proto);
  const widths = names.map((name) => {
    const sizes = dimsOf(proto.graph.input.find((input) => input.name === name)!)?.slice(1);
    return sizes?.reduce<number | undefined>((product, size) => product && size && product * size, 1);
  });
  if (names.length > 1) return widths.reduce<number>((sum, width) => sum + (width ?? 1), 0);
  return widths[0];
}

function readInputs(proto: ModelProto, axes: readonly number[]): TabularInput[] {
  const names = inputNamesOf(proto);
  const D = sizeOf(axes);
  let offset = 0;
  const inputs = names.map((name) => {
    const input = proto.graph.input.find((each) => each.name === name)!;
    const [batch, ...declared] = dimsOf(input) ?? [undefined, undefined];
    const own = names.length === 1 ? axesFor(input, declared, axes) : declared.map((size) => size ?? 1);
    const width = sizeOf(own);
    offset += width;
    return { name, type: typeOf(input), axes: own, width, offset: offset - width, ...(batch && { batch }) };
  });
  if (offset === D) return inputs;
  throw new PatchlineError(
    'MODEL_INPUT_MISMATCH',
    `Expected ${offset} columns, for the inputs ${names.join(', ')} of the model, but received ${D}`,
  );
}

const sizeOf = (axes: readonly number[]): number => axes.reduce((product, size) => product * size, 1);

/** Known sizes; an axis of any size is undefined. */
function dimsOf({ type }: ValueInfoProto): (number | undefined)[] | undefined {
  return type?.tensorType?.shape?.dim.map(({ dimValue }) => (dimValue ? dimValue : undefined));
}

/** The data's own axes, where they fit; a flat row may be given for axes that the model fixes. */
function axesFor({ name }: ValueInfoProto, declared: (number | undefined)[], axes: readonly number[]): number[] {
  const fits = (sizes: readonly number[]) =>
    sizes.length === declared.length && sizes.every((size, axis) => (declared[axis] ?? size) === size);
  if (fits(axes)) return [...axes];
  const fixed = declared.map((size) => size ?? 0);
  if (axes.length === 1 && !fixed.includes(0) && sizeOf(fixed) === axes[0]) return fixed;
  const wanted = declared.map((size) => size ?? 'any').join(', ');
  throw new PatchlineError(
    'MODEL_INPUT_MISMATCH',
    `Expected rows of (${wanted}) for the input ${name} of the model but received (${axes.join(', ')})`,
  );
}

function typeOf({ name, type }: ValueInfoProto): InputType {
  const found = Object.entries(elementTypes).find(([, code]) => code === type?.tensorType?.elemType)?.[0];
  if (found !== undefined && found in inputTypes) return found as InputType;
  throw new PatchlineError(
    'MODEL_INPUT_MISMATCH',
    `Expected an input of ${Object.keys(inputTypes).join(', ')} but ${name} of the model takes ${found ?? 'another type'}`,
  );
}

function chooseOutput(proto: ModelProto, makers: TabularModel['makers'], wanted?: string): string {
  const outputs = proto.graph.output;
  const names = outputs.map(({ name }) => name);
  const isFloat = ({ name, type }: ValueInfoProto) =>
    makers.get(name)?.opType === 'ZipMap' ||
    [elementTypes.float32, elementTypes.float64].some((code) => code === type?.tensorType?.elemType);
  const isMatrix = (output: ValueInfoProto) => isFloat(output) && (dimsOf(output)?.length ?? 2) === 2;
  const only = (found: ValueInfoProto[]) => (found.length === 1 ? found[0]!.name : undefined);
  const found =
    wanted === undefined
      ? (names.find((name) => name === 'logits') ?? only(outputs.filter(isMatrix)) ?? only(outputs.filter(isFloat)))
      : names.find((name) => name === wanted);
  if (found !== undefined && isFloat(outputs[names.indexOf(found)]!)) return found;
  throw new PatchlineError(
    'ARGUMENT_INVALID',
    `Expected the name of an output with scores for --output but received ${wanted ?? 'none'}; the outputs of the model ` +
      `are ${names.join(', ')}`,
  );
}

const passingOps: readonly string[] = ['Identity', 'Cast', 'ZipMap', 'Dropout'];

/** The tensor that nodes without arithmetic pass on as `tensor`. */
export function skipPassing(makers: TabularModel['makers'], tensor: string): string {
  const maker = makers.get(tensor);
  return maker && passingOps.includes(maker.opType) ? skipPassing(makers, maker.input[0]!) : tensor;
}

/** The model with other results. */
export function withOutputs(
  proto: ModelProto,
  outputs: readonly string[],
  more: readonly NodeProto[] = [],
): ModelProto {
  const { graph } = proto;
  return { ...proto, graph: { ...graph, node: [...graph.node, ...more], output: outputs.map((name) => ({ name })) } };
}

/** Values of tensors for rows (n, D): of each tensor (n, …), flat. */
export interface RowRunner {
  run(rows: Float64Array): Promise<Record<string, Float64Array<ArrayBuffer>>>;
  close(): Promise<void>;
}

/** Rows in one run; they have at most `maxRunValues` values. */
const maxRunRows = 8192;
const maxRunValues = 2 ** 22;

/** Runs a model, whose inputs are `inputs`, on rows. @throws MODEL_INPUT_MISMATCH where onnxruntime cannot work with them */
export async function createRowRunner(proto: ModelProto, inputs: readonly TabularInput[]): Promise<RowRunner> {
  const D = inputs.reduce((sum, { width }) => sum + width, 0);
  const names = proto.graph.output.map(({ name }) => name);
  const fixed = inputs.find(({ batch }) => batch !== undefined)?.batch;
  const step = fixed ?? Math.max(1, Math.min(maxRunRows, Math.floor(maxRunValues / D)));
  let session: InferenceSession;
  try {
    session = await createSession(writeModel(proto));
  } catch (cause) {
    const message = `Expected a model that onnxruntime can load but ${messageOf(cause)}`;
    throw new PatchlineError('MODEL_DAMAGED', message, { cause });
  }

  async function runBatch(rows: Float64Array): Promise<InferenceSession.OnnxValueMapType> {
    const count = fixed ?? rows.length / D;
    const feeds = inputs.map((input) => [input.name, tensorOf(input, rows, count, D)] as const);
    try {
      return await session.run(Object.fromEntries(feeds), names);
    } catch (cause) {
      const message = `Expected a model that takes ${count} rows of ${D} values but ${messageOf(cause)}`;
      throw new PatchlineError('MODEL_INPUT_MISMATCH', message, { cause });
    }
  }

  return {
    async run(rows) {
      const n = rows.length / D;
      const results: Record<string, Float64Array<ArrayBuffer>> = {};
      for (let first = 0; first < n; first += step) {
        const count = Math.min(step, n - first);
        const batch = await runBatch(rows.subarray(first * D, (first + count) * D));
        for (const name of names) {
          const { data, size } = batch[name]!;
          const width = size / (fixed ?? count);
          results[name] ??= new Float64Array(n * width);
          const target = results[name];
          for (let i = 0; i < count * width; i++) target[first * width + i] = Number(data[i]);
        }
      }
      return results;
    },
    close: () => session.release(),
  };
}

/** What is left of a batch of fixed size holds 0. */
function tensorOf({ type, axes, width, offset }: TabularInput, rows: Float64Array, count: number, D: number): Tensor {
  const values = new Float64Array(count * width);
  for (let row = 0; row * D < rows.length; row++) {
    for (let j = 0; j < width; j++) values[row * width + j] = rows[row * D + offset + j]!;
  }
  return new Tensor(type, inputTypes[type](values), [count, ...axes]);
}
