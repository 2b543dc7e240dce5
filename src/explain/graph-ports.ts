import type { GraphBuilder } from '../shared/onnx/graph-builder.js';
import { type ElementType, elementTypes } from '../shared/onnx/model.js';

// Arrays go in and out as float32, whatever a network computes in.

/** An input of the graph as a tensor of `type`. */
export function addFloatInput(graph: GraphBuilder, name: string, type: ElementType, dims: readonly number[]): string {
  const input = graph.input(name, 'float32', dims);
  return type === 'float32' ? input : graph.add('Cast', [input], { to: elementTypes[type] });
}

/** Declares `tensor`, which is of `type`, as the result `name`. */
export function addFloatOutput(graph: GraphBuilder, name: string, tensor: string, type: ElementType): void {
  graph.output(name, type === 'float32' ? tensor : graph.add('Cast', [tensor], { to: elementTypes.float32 }));
}
