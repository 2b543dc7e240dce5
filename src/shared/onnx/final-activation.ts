import { opsetOf } from './gradient.js';
import type { ModelProto, NodeProto } from './model.js';

export interface FinalActivation {
  kind: 'none' | 'softmax' | 'log-softmax' | 'sigmoid';
  /** The tensor that it is applied to: the class scores. */
  logits: string;
  /** The node of a softmax and the axis that it works along; before opset 13 along all axes from that one on. */
  softmax?: { node: NodeProto; axis: number };
}

const kinds: Record<string, FinalActivation['kind']> = {
  Softmax: 'softmax',
  LogSoftmax: 'log-softmax',
  Sigmoid: 'sigmoid',
};

/** What may follow an activation: these change no value, at most its precision. */
const passing = new Set(['Flatten', 'Reshape', 'Squeeze', 'Unsqueeze', 'Identity', 'Dropout', 'Cast']);

/** The Softmax, LogSoftmax or Sigmoid that makes an output of the class scores, found by walking back from it. */
export function findFinalActivation(model: ModelProto, output: string): FinalActivation {
  const makers = new Map(model.graph.node.flatMap((node) => node.output.map((name) => [name, node])));
  let node = makers.get(output);
  while (node && passing.has(node.opType)) node = makers.get(node.input[0]!);
  const kind = kinds[node?.opType ?? ''];
  if (!node || !kind) return { kind: 'none', logits: output };
  const axis = node.attribute.find(({ name }) => name === 'axis')?.i ?? (opsetOf(model) < 13 ? 1 : -1);
  return { kind, logits: node.input[0]!, ...(kind !== 'sigmoid' && { softmax: { node, axis } }) };
}
