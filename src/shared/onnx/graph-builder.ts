import {
  type AttributeProto,
  attributeTypes,
  type ElementType,
  elementTypes,
  type GraphProto,
  type ModelProto,
  type NodeProto,
  type TensorProto,
  type ValueInfoProto,
} from './model.js';

export type ConstantData = Float32Array | Float64Array | Uint8Array | Int8Array | Int32Array | BigInt64Array;

/** An integer is an INT, an array of integers INTS, text a STRING; a FLOAT is given as { float: x }, other lists likewise. */
export type Attribute =
  | number
  | string
  | readonly number[]
  | { float: number }
  | { floats: ArrayLike<number> }
  | { texts: readonly string[] }
  | { tensor: TensorProto };

/** Composes an ONNX graph, or goes on with one. Every method that makes a tensor returns its name, which is the input of the next. */
export interface GraphBuilder {
  input(name: string, type: ElementType, dims: readonly (number | string)[]): string;
  /** Gives an input fixed dims: onnxruntime then knows every shape when it loads the graph, and refuses other dims. */
  fixDims(input: string, dims: readonly number[]): void;
  constant(data: ConstantData, dims: readonly number[], name?: string): string;
  /** A float32 constant without axes. */
  scalar(value: number): string;
  /** An int64 constant of one axis: shapes, axes, sizes. */
  integers(...values: number[]): string;
  /** Adds a node with one output, by default of ONNX's own operators. Nodes are added in topological order. */
  add(opType: string, inputs: readonly string[], attributes?: Record<string, Attribute>, output?: string): string;
  /** Adds a node with several outputs, of the operators of `domain`. */
  addMulti(
    opType: string,
    inputs: readonly string[],
    attributes: Record<string, Attribute>,
    count: number,
    domain?: string,
  ): string[];
  /** Takes over the nodes and constants of another graph; `bindings` names the tensors that stand for its inputs. */
  include(graph: GraphProto, bindings: Record<string, string>): void;
  /** Declares a result called `name`, by default the tensor of that name; onnxruntime infers dims that are not given. */
  output(name: string, tensor?: string, type?: ElementType, dims?: readonly (number | string)[]): void;
  /** Says something of the model in its file. */
  describe(key: string, value: string): void;
  /** The model; nodes and constants that no output depends on are left out. */
  build(): ModelProto;
}

export interface GraphBuilderOptions {
  opset?: number;
  /** Version of ai.onnx.ml, the operators of trees and tables, where it is needed. */
  mlOpset?: number;
  irVersion?: number;
  /** A model to go on with: its inputs, nodes and constants are there already, its outputs are not; opset and the rest are its own. */
  base?: ModelProto;
}

const emptyModel = (opset: number, irVersion: number, mlOpset?: number): ModelProto => ({
  irVersion,
  producerName: 'patchline',
  opsetImport: [
    { domain: '', version: opset },
    ...(mlOpset === undefined ? [] : [{ domain: mlDomain, version: mlOpset }]),
  ],
  graph: { name: 'patchline', node: [], initializer: [], input: [], output: [] },
});

export const mlDomain = 'ai.onnx.ml';

export function createGraphBuilder(options: GraphBuilderOptions = {}): GraphBuilder {
  const { opset = 17, irVersion = 8, mlOpset, base } = options;
  const model = base ?? emptyModel(opset, irVersion, mlOpset);
  const metadata = [...(model.metadataProps ?? [])];
  const graph: GraphProto = {
    ...model.graph,
    node: [...model.graph.node],
    initializer: [...model.graph.initializer],
    input: inputsOf(model.graph),
    output: [],
  };
  const names = new Set(namesIn(model.graph));

  function claim(name: string): string {
    if (names.has(name)) throw new Error(`Expected a new tensor name but ${JSON.stringify(name)} is taken`);
    names.add(name);
    return name;
  }
  function fresh(stem: string): string {
    let number = names.size;
    while (names.has(`${stem}_${number}`)) number++;
    return `${stem}_${number}`;
  }
  function constant(data: ConstantData, dims: readonly number[], name = fresh('constant')): string {
    graph.initializer.push(tensorOf(data, dims, claim(name)));
    return name;
  }
  function addNode(
    opType: string,
    inputs: readonly string[],
    attributes: Record<string, Attribute>,
    output: string[],
    domain?: string,
  ) {
    const attribute = Object.entries(attributes).map(([name, value]) => attributeOf(name, value));
    const names = { input: [...inputs], output: output.map(claim), name: output[0] };
    graph.node.push({ opType, ...names, ...(domain && { domain }), attribute });
  }

  return {
    input(name, type, dims) {
      graph.input.push(valueInfo(claim(name), type, dims));
      return name;
    },
    fixDims(input, dims) {
      const shape = { dim: dims.map((dimValue) => ({ dimValue })) };
      graph.input = graph.input.map((each) =>
        each.name === input && each.type?.tensorType
          ? { ...each, type: { ...each.type, tensorType: { ...each.type.tensorType, shape } } }
          : each,
      );
    },
    constant,
    scalar: (value) => constant(Float32Array.of(value), []),
    integers: (...values) => constant(BigInt64Array.from(values, BigInt), [values.length]),
    add(opType, inputs, attributes = {}, output = fresh(opType)) {
      addNode(opType, inputs, attributes, [output]);
      return output;
    },
    addMulti(opType, inputs, attributes, count, domain) {
      const first = fresh(opType);
      const outputs = Array.from({ length: count }, (_, index) => `${first}.${index}`);
      addNode(opType, inputs, attributes, outputs, domain);
      return outputs;
    },
    include(other, bindings) {
      const rename = (name: string) => bindings[name] ?? name;
      for (const { name } of other.input) {
        if (!(name in bindings)) throw new Error(`Expected a tensor for the input ${JSON.stringify(name)}`);
      }
      for (const tensor of other.initializer) claim(tensor.name!);
      graph.initializer.push(...other.initializer);
      for (const node of other.node) {
        for (const name of node.output) if (name) claim(name);
        graph.node.push({ ...node, input: node.input.map(rename) });
      }
    },
    output(name, tensor = name, type = 'float32', dims?) {
      if (tensor !== name) addNode('Identity', [tensor], {}, [name]);
      graph.output.push(valueInfo(name, type, dims));
    },
    describe(key, value) {
      metadata.push({ key, value });
    },
    build() {
      const needed = neededNames(graph);
      return {
        ...model,
        irVersion: Math.max(model.irVersion, firstVersionOfPlainConstants),
        ...(metadata.length > 0 && { metadataProps: metadata }),
        graph: {
          ...graph,
          node: graph.node.filter((node) => node.output.some((name) => needed.has(name))),
          initializer: graph.initializer.filter(({ name }) => needed.has(name!)),
        },
      };
    },
  };
}

/** Before this version of the format every constant had to be named as an input too. */
const firstVersionOfPlainConstants = 4;

/** The inputs that have to be fed: old files list their constants among them. */
export function inputsOf({ input, initializer }: GraphProto): ValueInfoProto[] {
  const constants = new Set(initializer.map(({ name }) => name));
  return input.filter(({ name }) => !constants.has(name));
}

/** All tensor names, those in the graphs of If, Loop and Scan too: a name may stand once in all of them. */
function namesIn({ input, initializer, node }: GraphProto): string[] {
  return [
    ...input.map(({ name }) => name),
    ...initializer.map(({ name }) => name!),
    ...node.flatMap(({ output, attribute }) => [...output, ...attribute.flatMap(({ g }) => (g ? namesIn(g) : []))]),
  ];
}

export function tensorOf(data: ConstantData, dims: readonly number[], name?: string): TensorProto {
  const count = dims.reduce((product, size) => product * size, 1);
  if (data.length !== count) throw new Error(`Expected ${count} values for dims [${dims}] but received ${data.length}`);
  return {
    name,
    dims: [...dims],
    dataType: elementTypes[elementTypeOf(data)],
    rawData: new Uint8Array(data.buffer, data.byteOffset, data.byteLength),
  };
}

function elementTypeOf(data: ConstantData): ElementType {
  if (data instanceof Float32Array) return 'float32';
  if (data instanceof Float64Array) return 'float64';
  if (data instanceof Uint8Array) return 'uint8';
  if (data instanceof Int8Array) return 'int8';
  return data instanceof Int32Array ? 'int32' : 'int64';
}

function attributeOf(name: string, value: Attribute): AttributeProto {
  if (typeof value === 'number') return { name, type: attributeTypes.int, i: value };
  if (typeof value === 'string') return { name, type: attributeTypes.string, s: new TextEncoder().encode(value) };
  if ('float' in value) return { name, type: attributeTypes.float, f: value.float };
  if ('floats' in value) return { name, type: attributeTypes.floats, floats: Array.from(value.floats) };
  if ('texts' in value) {
    return { name, type: attributeTypes.strings, strings: value.texts.map((each) => new TextEncoder().encode(each)) };
  }
  if ('tensor' in value) return { name, type: attributeTypes.tensor, t: value.tensor };
  return { name, type: attributeTypes.ints, ints: [...value] };
}

function valueInfo(name: string, type: ElementType, dims?: readonly (number | string)[]): ValueInfoProto {
  const dim = dims?.map((size) => (typeof size === 'number' ? { dimValue: size } : { dimParam: size }));
  return { name, type: { tensorType: { elemType: elementTypes[type], ...(dim && { shape: { dim } }) } } };
}

/** Names of all tensors that the outputs depend on, found from the last node to the first. */
function neededNames(graph: GraphProto): Set<string> {
  const needed = new Set(graph.output.map(({ name }) => name));
  for (const node of graph.node.toReversed()) {
    if (node.output.some((name) => needed.has(name))) for (const name of namesReadBy(node)) needed.add(name);
  }
  return needed;
}

/** A node reads its inputs and, through the graphs of If, Loop and Scan, tensors of the graph around it. */
export function namesReadBy(node: NodeProto): string[] {
  const inner = node.attribute.flatMap(({ g }) =>
    g ? [...g.node.flatMap(namesReadBy), ...g.output.map(({ name }) => name)] : [],
  );
  return [...node.input, ...inner];
}
