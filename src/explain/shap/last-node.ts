import { PatchlineError } from '../../shared/errors.js';
import type { ModelProto, NodeProto } from '../../shared/onnx/model.js';
import { createRowRunner, type TabularModel, withOutputs } from './tabular-model.js';

/** What the node that makes the scores sees of rows, and what onnxruntime makes of it before any post-transform. */
export interface LastNodeRun {
  /** (n, features) */
  features: Float64Array;
  /** (n, columns) */
  scores: Float64Array;
}

const seen = 'patchline.features';

/** @param input the tensor that holds the features */
export async function runLastNode(
  model: TabularModel,
  node: NodeProto,
  input: string,
  rows: Float64Array,
): Promise<LastNodeRun> {
  const { graph } = model.proto;
  const scores = scoresOf(node);
  const plain = { ...node, attribute: node.attribute.filter(({ name }) => name !== 'post_transform') };
  const shown: NodeProto = { opType: 'Identity', input: [input], output: [seen], attribute: [] };
  const nodes = graph.node.map((each) => (each === node ? plain : each));
  const proto: ModelProto = { ...model.proto, graph: { ...graph, node: [...nodes, shown] } };
  const runner = await createRowRunner(withOutputs(proto, [seen, scores]), model.inputs);
  const results = await runner.run(rows).finally(() => runner.close());
  return { features: results[seen]!, scores: results[scores]! };
}

/**
 * Holds scores (n, K), worked out from the model as it was read, against those of onnxruntime: of its columns the last K.
 *
 * @throws EXPLANATION_INCONSISTENT where one differs by more than `tolerance`
 */
export function assertScores(
  own: Float64Array,
  K: number,
  { scores }: LastNodeRun,
  tolerance: number,
  node: NodeProto,
) {
  const width = (scores.length * K) / own.length;
  const scoreOf = (i: number) => scores[Math.floor(i / K) * width + width - K + (i % K)];
  const wrong = own.findIndex((score, i) => !(Math.abs(score - scoreOf(i)!) <= tolerance)); // true for NaN
  if (wrong < 0) return;
  throw new PatchlineError(
    'EXPLANATION_INCONSISTENT',
    `Expected the score ${own[wrong]} of ${node.name || scoresOf(node)}, as it was read, for row ${Math.floor(wrong / K)} but ` +
      `onnxruntime gives ${scoreOf(wrong)}`,
    { details: { node: scoresOf(node), op: node.opType } },
  );
}

/** A classifier's scores come after its labels. */
const scoresOf = (node: NodeProto): string => node.output.at(-1)!;
