import { inThread } from '../compute.js';
import { encodePng } from '../image.js';
import { heatOf, overlay } from '../kernels/overlay.js';
import { writeNpy } from '../npy.js';

export interface DrawInput {
  /** (H, W, 3) */
  pixels: Uint8Array;
  /** (H, W) */
  anomalyMap: Float32Array;
  height: number;
  width: number;
  mapQuantile: number;
}

export interface Drawing {
  /** .npy, float32 (H, W) */
  anomalyMap: Uint8Array;
  /** .png, RGB (H, W) */
  overlay: Uint8Array;
}

export default inThread<DrawInput, Drawing>(async ({ pixels, anomalyMap, height, width, mapQuantile }) => {
  const blended = overlay(pixels, heatOf(anomalyMap, mapQuantile));
  return {
    anomalyMap: writeNpy({ dtype: 'float32', shape: [height, width], data: anomalyMap }),
    overlay: await encodePng(blended, { height, width, channels: 3 }),
  };
});
