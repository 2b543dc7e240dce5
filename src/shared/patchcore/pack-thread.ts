import { inThread } from '../compute.js';
import { writeNpz } from '../npz.js';

export interface PackInput {
  /** (H, W, 3) */
  pixels: Uint8Array;
  height: number;
  width: number;
  /** (1280, H/32, W/32) */
  features: Float32Array;
  featuresShape: number[];
}

/** The work object, .npz: what the explaining stages read. */
export default inThread<PackInput, Uint8Array>(
  async ({ pixels, height, width, features, featuresShape }) =>
    writeNpz({
      input: { dtype: 'uint8', shape: [height, width, 3], data: pixels },
      features: { dtype: 'float32', shape: featuresShape, data: features },
    }),
  (work) => [work.buffer],
);
