import { Tensor } from 'onnxruntime-node';
import { inThread } from '../shared/compute.js';
import { createGraphBuilder } from '../shared/onnx/graph-builder.js';
import { writeModel } from '../shared/onnx/model.js';
import { createSession } from '../shared/onnx/session.js';
import { columnsOf } from './image-subspace.js';

/** N images of K numbers. */
export interface GramInput {
  /** (N, K) in shared memory; where they are to be centred, the mean image is subtracted from each */
  images: Float32Array;
  centred: boolean;
  K: number;
  /** Numbers of the images whose products are wanted. */
  basis: Int32Array;
}

export interface GramOutput {
  /** (K) the mean image, 0 where they are not centred */
  mean: Float32Array;
  /** (basis, basis) products of the images */
  gram: Float64Array;
}

/** Few enough that what is copied for one product stays small. */
const columnsAtOnce = 2048;

export default inThread<GramInput, GramOutput>(async ({ images, centred, K, basis }) => {
  const mean = centred ? centre(images, K) : new Float32Array(K);
  const session = await createSession(composeGramGraph());
  const gram = new Float64Array(basis.length ** 2);
  for (let from = 0; from < K; from += columnsAtOnce) {
    const columns = Math.min(columnsAtOnce, K - from);
    const block = new Tensor('float32', columnsOf(images, K, basis, from, columns), [basis.length, columns]);
    const { products } = await session.run({ block });
    const values = products!.data as Float32Array;
    for (let index = 0; index < gram.length; index++) gram[index]! += values[index]!;
  }
  await session.release();
  return { mean, gram };
});

/** Subtracts the mean image (K) from all of them and returns it. */
function centre(images: Float32Array, K: number): Float32Array {
  const N = images.length / K;
  const sums = new Float64Array(K);
  for (let n = 0; n < N; n++) for (let k = 0; k < K; k++) sums[k]! += images[n * K + k]!;
  const mean = Float32Array.from(sums, (sum) => sum / N);
  for (let n = 0; n < N; n++) for (let k = 0; k < K; k++) images[n * K + k]! -= mean[k]!;
  return mean;
}

function composeGramGraph(): Uint8Array {
  const graph = createGraphBuilder();
  const block = graph.input('block', 'float32', ['images', 'columns']);
  graph.output('products', graph.add('Gemm', [block, block], { transB: 1 }));
  return writeModel(graph.build());
}
