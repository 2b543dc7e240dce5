import { Tensor } from 'onnxruntime-node';
import { createRandom } from '../../src/shared/kernels/random.js';
import { appendGradients } from '../../src/shared/onnx/gradient.js';
import type { PropagationRules } from '../../src/shared/onnx/gradient-rules/rule.js';
import { createGraphBuilder, type GraphBuilder } from '../../src/shared/onnx/graph-builder.js';
import { type GraphProto, type ModelProto, writeModel } from '../../src/shared/onnx/model.js';
import { createSession } from '../../src/shared/onnx/session.js';
import { traceTensors } from '../../src/shared/onnx/traced-tensors.js';

export interface CheckedGraph {
  /** Composes the graph from its float inputs and returns the tensor to differentiate. */
  compose(graph: GraphBuilder, inputs: string[]): string;
  /** Of each input. */
  dims: readonly (readonly number[])[];
  opset?: number;
  seed?: number;
  /** Makes each value of the inputs from a uniform number of -1 .. 1: keeps away from kinks and poles. */
  value?(uniform: number, input: number): number;
  /** How far a value is moved to either side. */
  step?: number;
  /** 2: what is checked is the gradient of the gradient, through the nodes that the rules append. */
  order?: 1 | 2;
}

export interface GradientComparison {
  /** Largest |gradient - finite difference| / (1 + |finite difference|) of all values of all inputs. */
  largestDifference: number;
  gradients: Float32Array[];
  differences: Float64Array[];
}

/**
 * Compares the gradients of Σ s · output, with random s, by every input with central finite differences of the same graph.
 * float32 bounds it: with steps of 1e-2 and values about 1, expect 1e-3.
 */
export async function compareGradients({
  compose,
  dims,
  opset = 17,
  seed = 0,
  value = (uniform) => uniform,
  step = 1e-2,
  order = 1,
}: CheckedGraph): Promise<GradientComparison> {
  const random = createRandom(seed);
  const uniform = () => random.uniform() * 2 - 1;
  const graph = createGraphBuilder({ opset });
  const names = dims.map((each, index) => graph.input(`input_${index}`, 'float32', each));
  graph.output('result', compose(graph, names));
  const arrays = dims.map((each, index) =>
    Float32Array.from({ length: each.reduce((product, size) => product * size, 1) }, () => value(uniform(), index)),
  );
  const feeds = Object.fromEntries(names.map((name, i) => [name, new Tensor('float32', arrays[i]!, [...dims[i]!])]));
  const randomWeights = async (of: ModelProto) => {
    const outputDims = (await traceTensors(of, feeds)).get('result')!.dims;
    const weights = Float32Array.from({ length: outputDims.reduce((product, size) => product * size, 1) }, uniform);
    return { weights, dims: outputDims };
  };
  let model = graph.build();
  if (order === 2) model = await gradientModel(model, names, feeds, await randomWeights(model));
  const { weights, dims: outputDims } = await randomWeights(model);
  const gradients = await differentiate(model, names, feeds, { weights, dims: outputDims });

  const session = await createSession(writeModel(model));
  const evaluate = async () => {
    const { result } = await session.run(feeds);
    return (result!.data as Float32Array).reduce((sum, each, i) => sum + each * weights[i]!, 0);
  };
  const differences: Float64Array[] = [];
  let largestDifference = 0;
  for (const [input, array] of arrays.entries()) {
    const difference = new Float64Array(array.length);
    for (let i = 0; i < array.length; i++) {
      const kept = array[i]!;
      array[i] = kept + step;
      const [above, upper] = [await evaluate(), array[i]!];
      array[i] = kept - step;
      const [below, lower] = [await evaluate(), array[i]!];
      array[i] = kept;
      difference[i] = (above - below) / (upper - lower);
      const gap = Math.abs(gradients[input]![i]! - difference[i]!) / (1 + Math.abs(difference[i]!));
      largestDifference = Number.isNaN(gap) ? Number.NaN : Math.max(largestDifference, gap);
    }
    differences.push(difference);
  }
  await session.release();
  return { largestDifference, gradients, differences };
}

/** A model with the gradients of Σ weights · result by its inputs, one after the other, as its `result`. */
async function gradientModel(
  model: ModelProto,
  targets: readonly string[],
  feeds: Record<string, Tensor>,
  { weights, dims }: { weights: Float32Array; dims: readonly number[] },
): Promise<ModelProto> {
  const renamed = { ...model, graph: renameTensor(model.graph, 'result', 'first_result') };
  const graph = createGraphBuilder({ base: renamed });
  const traced = await traceTensors(renamed, feeds);
  const seed = graph.constant(weights, dims);
  const gradients = appendGradients(graph, renamed, traced, { output: 'first_result', seed, targets });
  const flat = targets.map((target) => graph.add('Reshape', [gradients.get(target)!, graph.integers(-1)]));
  graph.output('result', graph.add('Concat', flat, { axis: 0 }));
  return graph.build();
}

function renameTensor(graph: GraphProto, from: string, to: string): GraphProto {
  const renamed = (names: readonly string[]) => names.map((name) => (name === from ? to : name));
  return {
    ...graph,
    node: graph.node.map((node) => ({ ...node, input: renamed(node.input), output: renamed(node.output) })),
  };
}

/** Gradients of Σ weights · result by the inputs of a model. */
export async function differentiate(
  model: ModelProto,
  targets: readonly string[],
  feeds: Record<string, Tensor>,
  { weights, dims }: { weights: Float32Array; dims: readonly number[] },
  rules: PropagationRules = 'standard',
): Promise<Float32Array[]> {
  const graph = createGraphBuilder({ base: model });
  const seed = graph.constant(weights, dims);
  const traced = await traceTensors(model, feeds);
  const gradients = appendGradients(graph, model, traced, { output: 'result', seed, targets, rules });
  targets.forEach((target, index) => {
    graph.output(`gradient_${index}`, gradients.get(target)!);
  });
  const session = await createSession(writeModel(graph.build()));
  const results = await session.run(feeds);
  await session.release();
  return targets.map((_, index) => results[`gradient_${index}`]!.data as Float32Array);
}
