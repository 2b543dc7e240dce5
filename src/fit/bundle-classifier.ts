import type { ExplainedClassifier } from '../explain/explained-classifier.js';
import type { Bundle } from '../shared/bundle.js';
import type { ClassifierHead } from '../shared/loaded-bundle.js';
import { readNetwork } from '../shared/networks.js';
import { createGraphBuilder } from '../shared/onnx/graph-builder.js';
import { readModel } from '../shared/onnx/model.js';
import { packModel } from '../shared/onnx/packed-model.js';
import { shareModel } from '../shared/onnx/session-cache.js';
import { addEvenExposure } from '../shared/patchcore/patch-vectors.js';

/**
 * The bundle's classifier as one network from images (N, 3, H, W) of 0..1 at the size of the bundle's input. It gives what
 * inspections give but for the rounding of an image's mean, to which an int8 network answers with some per cent.
 */
export async function bundleClassifier({ network, input }: Bundle, head: ClassifierHead): Promise<ExplainedClassifier> {
  const { height, width } = input;
  const graph = createGraphBuilder();
  const image = graph.input('pixels', 'float32', ['N', 3, height, width]);
  const even = addEvenExposure(graph, image, [1, 2, 3]);
  const shared = shareModel(await readNetwork(network.kind)); // its weights then travel to threads without a copy
  graph.include(readModel(shared.bytes).graph, { image: even });
  const weights = graph.constant(head.weights.slice(), [head.weights.length, 1]);
  const scores = graph.add('Gemm', ['embedding', weights, graph.constant(Float32Array.of(head.bias), [1])]);
  graph.output(scores);
  return {
    model: packModel(graph.build()),
    input: { name: image, channels: 3, height, width, layout: 'nchw', scale: 1, mean: [0, 0, 0], std: [1, 1, 1] },
    layer: 'features',
    scores,
    classes: 1,
    defect: 1,
    activation: 'softmax',
  };
}
