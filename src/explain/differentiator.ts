import { appendGradients } from '../shared/onnx/gradient.js';
import type { PropagationRules } from '../shared/onnx/gradient-rules/rule.js';
import { createGraphBuilder, type GraphBuilder } from '../shared/onnx/graph-builder.js';
import { type PackedModel, packModel } from '../shared/onnx/packed-model.js';
import type { FloatTensor, RunGraph } from '../shared/onnx/run-graph.js';
import { addFloatInput, addFloatOutput } from './graph-ports.js';
import type { Network } from './network.js';

// N samples, K classes. S are the class scores (N, K), `seed` (N, K) is what they are weighted by: one-hot rows pick a class each.

/**
 * Scores and derivatives of a network for inputs of one shape. Graphs are composed when first needed and kept, so that all
 * inputs and all classes share one session for each kind of question and layer.
 */
export interface Differentiator {
  readonly network: Network;
  /** S. */
  scores(x: Float32Array): Promise<Float32Array>;
  /** d Σ seed · S / d x, of the input's shape. */
  gradient(x: Float32Array, seed: Float32Array, rules?: PropagationRules): Promise<Float32Array>;
  /** The values of a layer. */
  activations(layer: string, x: Float32Array): Promise<FloatTensor>;
  /** The values of a layer, d Σ seed · S / d layer, of the same shape, and S. */
  layerGradient(layer: string, x: Float32Array, seed: Float32Array): Promise<LayerGradient>;
}

export interface LayerGradient {
  activations: FloatTensor;
  gradients: Float32Array;
  /** (N, K) */
  scores: Float32Array;
}

export function createDifferentiator(network: Network, run: RunGraph): Differentiator {
  const { model, tensors, input, inputDims, output, samples, classes } = network;
  const graphs = new Map<string, PackedModel>();

  function graphOf(key: string, compose: (graph: GraphBuilder) => void): PackedModel {
    let packed = graphs.get(key);
    if (!packed) {
      const graph = createGraphBuilder({ base: model });
      compose(graph);
      packed = packModel(graph.build());
      graphs.set(key, packed);
    }
    return packed;
  }
  const gradientGraph = (target: string, rules: PropagationRules = 'standard') =>
    graphOf(`gradient by ${target}, ${rules}`, (graph) => {
      const seed = addFloatInput(graph, seedName, tensors.get(output)!.type, [samples, classes]);
      const gradients = appendGradients(graph, model, tensors, { output, seed, targets: [target], rules });
      addFloatOutput(graph, resultName, gradients.get(target)!, tensors.get(target)!.type);
      if (target === input) return;
      addFloatOutput(graph, layerName, target, tensors.get(target)!.type);
      addFloatOutput(graph, scoresName, output, tensors.get(output)!.type);
    });
  const valueGraph = (name: string) =>
    graphOf(`value of ${name}`, (graph) => addFloatOutput(graph, resultName, name, tensors.get(name)!.type));

  const feedsOf = (x: Float32Array) => ({ [input]: { data: x, dims: inputDims } });
  const seedFeed = (seed: Float32Array) => ({ [seedName]: { data: seed, dims: [samples, classes] } });

  return {
    network,
    async scores(x) {
      const results = await run(valueGraph(output), feedsOf(x));
      return results[resultName]!.data;
    },
    async gradient(x, seed, rules) {
      const results = await run(gradientGraph(input, rules), { ...feedsOf(x), ...seedFeed(seed) });
      return results[resultName]!.data;
    },
    async activations(layer, x) {
      const results = await run(valueGraph(layer), feedsOf(x));
      return results[resultName]!;
    },
    async layerGradient(layer, x, seed) {
      const results = await run(gradientGraph(layer), { ...feedsOf(x), ...seedFeed(seed) });
      return {
        activations: results[layerName]!,
        gradients: results[resultName]!.data,
        scores: results[scoresName]!.data,
      };
    },
  };
}

// Names that no model has for its own tensors.
const seedName = 'patchline.seed';
const resultName = 'patchline.result';
const layerName = 'patchline.layer';
const scoresName = 'patchline.scores';

/** Rows (N, K) with a one at the class of each sample. */
export function seedOf(classes: readonly number[], K: number): Float32Array {
  const seed = new Float32Array(classes.length * K);
  classes.forEach((target, sample) => {
    seed[sample * K + target] = 1;
  });
  return seed;
}
