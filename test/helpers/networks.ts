import { createDifferentiator, type Differentiator } from '../../src/explain/differentiator.js';
import { bindNetwork } from '../../src/explain/network.js';
import type { Question } from '../../src/explain/question.js';
import { readModelFile } from '../../src/shared/onnx/model-file.js';
import { type FloatTensor, runGraph } from '../../src/shared/onnx/run-graph.js';
import type { GoldenCase } from './golden.js';

/** The network of a golden case, bound to its input. */
export async function openGolden(golden: GoldenCase): Promise<{
  differentiator: Differentiator;
  x: FloatTensor;
  target: number;
  /** What its test asks: one class of one image. */
  question: Question;
}> {
  const { data, shape } = golden.float32('x');
  const x = { data, dims: shape };
  const target = Number(golden.int64('target').data[0]);
  const network = await bindNetwork(await readModelFile(golden.network()), x);
  const differentiator = createDifferentiator(network, runGraph);
  return {
    differentiator,
    x,
    target,
    question: { differentiator, run: runGraph, x, layout: 'nchw', targets: [[target]] },
  };
}

/** The same with the activations of a layer that the case gives, and their dims. */
export async function openGoldenLayer(golden: GoldenCase) {
  const { data: activations, shape } = golden.float32('activations');
  const [, C, h, w] = shape as [number, number, number, number];
  return { ...(await openGolden(golden)), activations, C, h, w };
}
