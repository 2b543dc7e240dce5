import { inThread } from '../shared/compute.js';
import type { SharedModel } from '../shared/onnx/session-cache.js';
import type { Size } from '../shared/patchcore/patch-vectors.js';
import { runOnPixels } from './image-vectors.js';

/** Projects the patch vectors of an image into shared memory. */
export interface ProjectInput {
  /** (H, W, 3) in shared memory */
  pixels: Uint8Array;
  input: Size;
  /** See `composeProjectionGraph`. */
  model: SharedModel;
  /** Where the model's results go, in shared memory. */
  targets: { projected: Float32Array; subspaceVectors?: Float32Array };
}

export default inThread<ProjectInput, void>(async ({ pixels, input, model, targets }) => {
  const wanted = Object.entries(targets);
  const copy = pixels.slice(); // onnxruntime refuses shared memory
  const results = await runOnPixels(copy, input, model, Object.keys(targets));
  for (const [name, target] of wanted) target.set(results[name]!);
});
