import { Tensor } from 'onnxruntime-node';
import { inThread } from '../shared/compute.js';
import { createGraphBuilder } from '../shared/onnx/graph-builder.js';
import { writeModel } from '../shared/onnx/model.js';
import { createSession } from '../shared/onnx/session.js';
import { addVectorResiduals, type ResidualModel } from '../shared/patchcore/residual-graph.js';

/** Measures images by the second term as scoring does. P patches, d dimensions. */
export interface ResidualDistancesInput {
  /** Projected vectors (P, d) of each image, in shared memory. */
  images: readonly Float32Array[];
  /** (d) that was added by the projection, and that the offset of the model holds too */
  bias: Float32Array;
  model: ResidualModel;
}

/** (P) of each image */
export default inThread<ResidualDistancesInput, Float32Array[]>(
  async ({ images, bias, model }) => {
    const d = bias.length;
    const P = model.offset.length / d;
    const graph = createGraphBuilder();
    graph.output('distances', addVectorResiduals(graph, graph.input('vectors', 'float32', [P, d]), P, model));
    const session = await createSession(writeModel(graph.build()));
    const distances: Float32Array[] = [];
    for (const projected of images) {
      const vectors = model.offset.map((offset, k) => projected[k]! - bias[k % d]! + offset);
      const results = await session.run({ vectors: new Tensor('float32', vectors, [P, d]) });
      distances.push(results.distances!.data as Float32Array);
    }
    await session.release();
    return distances;
  },
  () => [],
);
