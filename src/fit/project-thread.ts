import { Tensor } from 'onnxruntime-node';
import { inThread } from '../shared/compute.js';
import { patchVectorLength } from '../shared/networks.js';
import { createGraphBuilder } from '../shared/onnx/graph-builder.js';
import { writeModel } from '../shared/onnx/model.js';
import { createSession } from '../shared/onnx/session.js';
import type { Projection } from '../shared/patchcore/score-graph.js';

/** Projects the raw patch vectors of some images into shared memory. */
export interface ProjectInput {
  /** (P, 328) of each image */
  raw: Float32Array[];
  projection: Projection;
  /** (images, P, d) in shared memory: where the results go */
  projected: Float32Array;
}

export default inThread<ProjectInput, void>(async ({ raw, projection, projected }) => {
  const session = await createSession(composeProjection(projection));
  let offset = 0;
  for (const vectors of raw) {
    const dims = [vectors.length / patchVectorLength, patchVectorLength];
    const { projected: ofImage } = await session.run({ raw: new Tensor('float32', vectors, dims) });
    projected.set(ofImage!.data as Float32Array, offset);
    offset += ofImage!.size;
  }
  await session.release();
});

function composeProjection({ matrix, bias }: Projection): Uint8Array {
  const graph = createGraphBuilder();
  const raw = graph.input('raw', 'float32', ['patches', patchVectorLength]);
  const weights = graph.constant(matrix, [patchVectorLength, bias.length]);
  graph.output('projected', graph.add('Gemm', [raw, weights, graph.constant(bias, [bias.length])]));
  return writeModel(graph.build());
}
