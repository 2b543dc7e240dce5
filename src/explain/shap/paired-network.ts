import { codeOf, messageOf, PatchlineError } from '../../shared/errors.js';
import { describeNode } from '../../shared/onnx/gradient-rules/rule.js';
import { isStepwise } from '../../shared/onnx/gradient-rules/steps.js';
import { inputsOf } from '../../shared/onnx/graph-builder.js';
import type { ModelProto, NodeProto } from '../../shared/onnx/model.js';
import type { RunGraph } from '../../shared/onnx/run-graph.js';
import { readTensorValues } from '../../shared/onnx/tensor-values.js';
import { createDifferentiator, seedOf } from '../differentiator.js';
import { nodesBetween } from '../layers.js';
import { bindNetwork, type Network } from '../network.js';

// A run holds B pairs: B samples, then the reference of each, so 2 B rows of D values. K outputs.

/** A network bound to pairs of samples and references. */
export interface PairedNetwork {
  /** B */
  pairs: number;
  D: number;
  K: number;
  /**
   * DeepLIFT's multipliers by the rescale rule: Σ multiplier · (sample - reference) is the change of the pair's output.
   *
   * @param rows (2 B, D) @param outputs (B): which output of each pair is explained
   * @returns (B, D)
   */
  multipliers(rows: Float32Array, outputs: readonly number[]): Promise<Float32Array>;
  /** Nodes that a difference cannot be passed on through, so that the multipliers may not add up. */
  outsideTheorem: NodeProto[];
}

/** Of all values between input and output in one run, so that memory stays bounded whatever the network is. */
const valueBudgetBytes = 32 * 2 ** 20;
const mostPairs = 1024;

/**
 * @param sample the axes of one sample
 * @param output the explained output, (N, K)
 * @param pairs how many there are to explain
 * @throws MODEL_INPUT_MISMATCH where the network does not run on a batch, OP_NOT_SUPPORTED, GRADIENT_UNREACHABLE
 */
export async function pairNetwork(
  model: ModelProto,
  sample: readonly number[],
  output: string,
  pairs: number,
  run: RunGraph,
): Promise<PairedNetwork> {
  const batched = withFreeBatch(model);
  const single = await bindPairs(batched, sample, output, 1);
  await createDifferentiator(single, run).gradient(...trialOf(single)); // what has no rule is found before long work
  const most = Math.max(1, Math.min(mostPairs, Math.floor(valueBudgetBytes / valueBytes(single))));
  const B = Math.ceil(pairs / Math.ceil(pairs / most));
  const network = await bindPairs(batched, sample, output, B);
  const differentiator = createDifferentiator(network, run);
  const D = sample.reduce((product, size) => product * size, 1);
  const K = network.classes;
  const multipliers: PairedNetwork['multipliers'] = async (rows, outputs) => {
    const gradient = await differentiator.gradient(rows, seedOf([...outputs, ...outputs], K), 'deeplift-rescale');
    return gradient.subarray(0, B * D);
  };
  return { pairs: B, D, K, multipliers, outsideTheorem: nodesOutsideTheorem(network) };
}

/** The network for batches of any size; what it declares of other tensors holds for its own batch, and is left out. */
function withFreeBatch(model: ModelProto): ModelProto {
  const { graph } = model;
  const input = inputsOf(graph).map((each) => {
    const tensorType = each.type?.tensorType;
    if (!tensorType?.shape) return each;
    const dim = tensorType.shape.dim.map((size, axis) => (axis === 0 ? { dimParam: 'pairs' } : size));
    return { ...each, type: { ...each.type, tensorType: { ...tensorType, shape: { dim } } } };
  });
  return { ...model, graph: { ...graph, input, valueInfo: [], output: graph.output.map(({ name }) => ({ name })) } };
}

async function bindPairs(model: ModelProto, sample: readonly number[], output: string, B: number): Promise<Network> {
  const dims = [2 * B, ...sample];
  const data = new Float32Array(dims.reduce((product, size) => product * size, 1));
  try {
    return await bindNetwork(model, { data, dims }, output);
  } catch (error) {
    if (codeOf(error) !== 'MODEL_INPUT_MISMATCH' && codeOf(error) !== 'ARGUMENT_INVALID') throw error;
    const fixed = model.graph.node.filter((node) => fixesBatch(model, node)).map(describeNode);
    throw new PatchlineError(
      'MODEL_INPUT_MISMATCH',
      `Expected a network that takes samples and their references side by side, a batch of ${2 * B}, for DeepLIFT but ` +
        `${fixed.length > 0 ? `the batch is fixed by ${fixed.join(', ')}: export it with a free batch axis` : messageOf(error)}`,
      { cause: error },
    );
  }
}

/** Whether a node is a Reshape to a constant number of samples. */
function fixesBatch({ graph }: ModelProto, { opType, input }: NodeProto): boolean {
  const shape = opType === 'Reshape' && graph.initializer.find(({ name }) => name === input[1]);
  return shape ? readTensorValues(shape)[0]! > 0 : false;
}

const trialOf = ({ inputDims, classes }: Network) =>
  [
    new Float32Array(inputDims.reduce((product, size) => product * size, 1)),
    seedOf([0, 0], classes),
    'deeplift-rescale',
  ] as const;

/** Of what the nodes make for one run. */
function valueBytes({ model, tensors }: Network): number {
  const sizes = model.graph.node.flatMap(({ output }) => output.map((name) => tensors.get(name)?.dims ?? []));
  return sizes.reduce((sum, dims) => sum + 4 * dims.reduce((product, size) => product * size, 1), 0);
}

/** Steps, and choices by the input's values. */
function nodesOutsideTheorem(network: Network): NodeProto[] {
  return nodesBetween(network).filter((node) => {
    const made = network.tensors.get(node.output[0]!);
    const isChoice = made !== undefined && !made.type.startsWith('float') && made.values === undefined;
    return isStepwise(node) || isChoice;
  });
}

/** What to say where values do not add up. */
export function inconsistencyHint({ outsideTheorem }: Pick<PairedNetwork, 'outsideTheorem'>): string {
  const causes =
    outsideTheorem.length > 0
      ? `DeepLIFT cannot pass differences through ${outsideTheorem.slice(0, 5).map(describeNode).join(', ')}`
      : 'something in the network lies outside what DeepLIFT holds for';
  return `: ${causes}; the methods exact and kernel of attribute, and integrated-gradients of explain, take other ways`;
}
