import { createDifferentiator, type Differentiator } from '../explain/differentiator.js';
import type { ExplainedClassifier } from '../explain/explained-classifier.js';
import { bindNetwork } from '../explain/network.js';
import { createRowScorer, type Rows } from '../explain/rows.js';
import { createGraphBuilder } from '../shared/onnx/graph-builder.js';
import type { ModelProto } from '../shared/onnx/model.js';
import { unpackModel } from '../shared/onnx/packed-model.js';
import type { FloatTensor, RunGraph } from '../shared/onnx/run-graph.js';

/** A classifier bound to images of one shape, whose score `target` speaks for a defect. */
export interface BoundClassifier {
  differentiator: Differentiator;
  target: number;
  /** Of a defect, for each image. */
  probabilitiesOf(rows: Rows): Promise<Float64Array>;
}

export async function bindClassifier(
  classifier: ExplainedClassifier,
  image: FloatTensor,
  run: RunGraph,
): Promise<BoundClassifier> {
  const { model, scores } = defectUp(classifier);
  const network = await bindNetwork(model, image, scores);
  const scoreRows = createRowScorer(network, run);
  return {
    differentiator: createDifferentiator(network, run),
    target: classifier.classes > 1 ? classifier.defect : 0,
    probabilitiesOf: async (rows) => defectProbabilities(await scoreRows(rows), classifier),
  };
}

/** A single score may speak for the good class: turned round, it speaks for a defect. */
function defectUp({ model, scores, classes, defect }: ExplainedClassifier): { model: ModelProto; scores: string } {
  const unpacked = unpackModel(model);
  if (classes > 1 || defect === 1) return { model: unpacked, scores };
  const graph = createGraphBuilder({ base: unpacked });
  const turned = graph.add('Neg', [scores]);
  graph.output(turned);
  return { model: graph.build(), scores: turned };
}

/** @param scores (rows, K) */
function defectProbabilities(
  scores: Float32Array,
  { classes: K, defect, activation }: ExplainedClassifier,
): Float64Array {
  return Float64Array.from({ length: scores.length / K }, (_, row) => {
    const own = scores.subarray(row * K, (row + 1) * K);
    const score = own[K > 1 ? defect : 0]!;
    if (K === 1 || activation === 'sigmoid') return 1 / (1 + Math.exp(-score));
    return 1 / own.reduce((sum, other) => sum + Math.exp(other - score), 0);
  });
}
