import { type InferenceSession, Tensor } from 'onnxruntime-node';
import { inThread } from '../shared/compute.js';
import { createGraphBuilder } from '../shared/onnx/graph-builder.js';
import { writeModel } from '../shared/onnx/model.js';
import { createSession } from '../shared/onnx/session.js';
import { fitImageSubspace, type ImageSubspace, type SubspaceSource } from './image-subspace.js';

/** Fits the subspace of some images and finds what it leaves of others. */
export interface SubspaceInput extends SubspaceSource {
  /** Numbers of the images whose residuals are wanted. */
  measured: Int32Array;
  /** (N, K) in shared memory: where they go */
  residuals: Float32Array;
}

const imagesAtOnce = 32;

export default inThread<SubspaceInput, ImageSubspace>(
  async (input) => {
    const subspace = await fitImageSubspace(input);
    if (input.measured.length > 0) await writeResiduals(input, subspace);
    return subspace;
  },
  ({ components }) => [components.buffer],
);

/** ρ = v - Eᵀ(c ∘ E v) with v = image - mean. */
async function writeResiduals({ images, K, measured, residuals }: SubspaceInput, subspace: ImageSubspace) {
  const session = await createSession(composeResidualGraph(subspace.shrinkage, K));
  const components = new Tensor('float32', subspace.components, [subspace.shrinkage.length, K]);
  for (let from = 0; from < measured.length; from += imagesAtOnce) {
    const numbers = measured.subarray(from, from + imagesAtOnce);
    const found = await residualsOf(session, numbers, images, subspace.mean, components);
    for (const [row, n] of numbers.entries()) residuals.set(found.subarray(row * K, (row + 1) * K), n * K);
  }
  await session.release();
}

async function residualsOf(
  session: InferenceSession,
  numbers: Int32Array,
  images: Float32Array,
  mean: Float32Array,
  components: Tensor,
): Promise<Float32Array> {
  const K = mean.length;
  const deviations = new Float32Array(numbers.length * K);
  for (const [row, n] of numbers.entries()) {
    for (let k = 0; k < K; k++) deviations[row * K + k] = images[n * K + k]! - mean[k]!;
  }
  const feeds = { deviations: new Tensor('float32', deviations, [numbers.length, K]), components };
  return (await session.run(feeds)).residuals!.data as Float32Array;
}

function composeResidualGraph(shrinkage: Float32Array, K: number): Uint8Array {
  const graph = createGraphBuilder();
  const deviations = graph.input('deviations', 'float32', ['images', K]);
  const components = graph.input('components', 'float32', [shrinkage.length, K]);
  const amounts = graph.add('Gemm', [deviations, components], { transB: 1 });
  const shrunk = graph.add('Mul', [amounts, graph.constant(shrinkage, [shrinkage.length])]);
  graph.output('residuals', graph.add('Sub', [deviations, graph.add('MatMul', [shrunk, components])]));
  return writeModel(graph.build());
}
