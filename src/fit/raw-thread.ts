import { inThread } from '../shared/compute.js';
import { decodeInput } from '../shared/model-input.js';
import { runOnPixels } from './image-vectors.js';
import type { PatchInput } from './patch-thread.js';

/** The raw patch vectors (P, C) of an image. */
export default inThread<PatchInput, Float32Array>(
  async ({ bytes, maxImageBytes, input, model }) => {
    const { pixels } = await decodeInput(bytes, input, { maxImageBytes });
    const { raw } = await runOnPixels(pixels, input, model, ['raw']);
    return raw;
  },
  (raw) => [raw.buffer],
);
