import { PatchlineError } from '../errors.js';
import { ruleOf } from './gradient-rules/registry.js';
import { describeNode, type PropagationRules, type RuleContext } from './gradient-rules/rule.js';
import { isStepwise } from './gradient-rules/steps.js';
import { type GraphBuilder, inputsOf, namesReadBy } from './graph-builder.js';
import { elementTypes, type ModelProto, type NodeProto } from './model.js';
import type { TracedTensors } from './traced-tensors.js';

export interface GradientRequest {
  /** The tensor that is differentiated. */
  output: string;
  /** A tensor of the output's shape: what is differentiated is Σ seed · output. */
  seed: string;
  /** The tensors to differentiate by. */
  targets: readonly string[];
  rules?: PropagationRules;
}

/**
 * Reverse-mode differentiation of an ONNX graph: walks the nodes from the output back to the targets and appends, by one rule
 * per operator, the nodes of the backward pass, so that onnxruntime runs forward and backward in one optimised session.
 * (Griewank and Walther, Evaluating Derivatives, 2nd ed., section 3.2.)
 *
 * @param graph a builder that goes on with `model`
 * @param tensors `model` traced: the nodes hold for inputs of the shapes it was traced with
 * @returns by target, the name of its gradient, of the target's shape and type; the inputs of the graph have fixed dims from then on
 * @throws OP_NOT_SUPPORTED naming every node between output and targets that has no rule; GRADIENT_UNREACHABLE where no
 * differentiable path leads from a target to the output
 */
export function appendGradients(
  graph: GraphBuilder,
  model: ModelProto,
  tensors: TracedTensors,
  { output, seed, targets, rules = 'standard' }: GradientRequest,
): Map<string, string> {
  // Their shapes known, backward nodes keep the blocked layout of the convolutions, which halves their time.
  for (const { name } of inputsOf(model.graph)) graph.fixDims(name, tensors.get(name)!.dims);
  const opset = opsetOf(model);
  const reached = reachedFrom(model.graph.node, targets, tensors);
  const path = nodesBetween(model.graph.node, reached, output);
  requireRules(path, opset);
  const parts = new Map<string, string[]>([[output, [seed]]]);
  const gradientOf = (name: string) => {
    const found = parts.get(name);
    if (found && found.length > 1) parts.set(name, [graph.add('Sum', found)]);
    return parts.get(name)?.[0];
  };
  for (const node of path.toReversed()) {
    const outputGradients = node.output.map(gradientOf);
    if (outputGradients.every((gradient) => gradient === undefined)) continue;
    const wanted = node.input.map((name) => reached.has(name));
    const gradients = ruleOf(node)!({ node, opset, rules, graph, outputGradients, wanted, ...lookups(graph, tensors) });
    node.input.forEach((name, index) => {
      const gradient = wanted[index] ? gradients[index] : undefined;
      if (gradient !== undefined) parts.set(name, [...(parts.get(name) ?? []), gradient]);
    });
  }
  return new Map(targets.map((target) => [target, gradientOf(target) ?? unreachable(target, output)]));
}

export function opsetOf({ opsetImport }: ModelProto): number {
  return opsetImport.find(({ domain }) => !domain || domain === 'ai.onnx')?.version ?? 1;
}

function lookups(
  graph: GraphBuilder,
  tensors: TracedTensors,
): Pick<RuleContext, 'dims' | 'type' | 'values' | 'scalar'> {
  const traced = (name: string) => {
    const tensor = tensors.get(name);
    if (!tensor) throw new Error(`Expected a traced tensor but ${JSON.stringify(name)} is none`);
    return tensor;
  };
  return {
    dims: (name) => traced(name).dims,
    type: (name) => traced(name).type,
    values: (name) => (name ? traced(name).values?.() : undefined),
    scalar: (value, like) => {
      const { type } = traced(like);
      const constant = graph.constant(type === 'float64' ? Float64Array.of(value) : Float32Array.of(value), []);
      return type === 'float16' ? graph.add('Cast', [constant], { to: elementTypes.float16 }) : constant;
    },
  };
}

/** Tensors that change when a target does; integers and booleans change in steps, so that no gradient passes them. */
function reachedFrom(nodes: readonly NodeProto[], targets: readonly string[], tensors: TracedTensors): Set<string> {
  const reached = new Set(targets);
  for (const node of nodes) {
    if (isStepwise(node) || !namesReadBy(node).some((name) => reached.has(name))) continue;
    for (const name of node.output) {
      const type = tensors.get(name)?.type;
      if (name && (type === undefined || type.startsWith('float'))) reached.add(name);
    }
  }
  return reached;
}

/** The nodes through which the output follows from what is reached, in the order of the graph. */
function nodesBetween(nodes: readonly NodeProto[], reached: ReadonlySet<string>, output: string): NodeProto[] {
  const leading = new Set([output]);
  const between: NodeProto[] = [];
  for (const node of nodes.toReversed()) {
    const read = namesReadBy(node).filter((name) => reached.has(name));
    if (read.length === 0 || !node.output.some((name) => leading.has(name) && reached.has(name))) continue;
    between.push(node);
    for (const name of read) leading.add(name);
  }
  return between.reverse();
}

function requireRules(path: readonly NodeProto[], opset: number): void {
  const without = path.filter((node) => !ruleOf(node));
  if (without.length === 0) return;
  throw new PatchlineError(
    'OP_NOT_SUPPORTED',
    `Expected operators that can be differentiated between output and target but received ${without.map(describeNode).join(', ')} ` +
      `in opset ${opset}`,
    { details: { opset, nodes: without.map(({ opType, name, output }) => ({ op: opType, node: name || output[0] })) } },
  );
}

function unreachable(target: string, output: string): never {
  throw new PatchlineError(
    'GRADIENT_UNREACHABLE',
    `Expected a differentiable path from ${target} to ${output} but none leads there`,
  );
}
