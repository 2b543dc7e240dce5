import { type InferenceSession, Tensor } from 'onnxruntime-node';
import { resizeBilinear } from './kernels/resize.js';
import { readNetwork } from './networks.js';
import { createSession } from './onnx/session.js';

/** What the depth network was trained at: at other sizes its metres are off. */
const side = 224;

let loading: Promise<InferenceSession> | undefined;

/** This thread's session, loaded when first asked for; a failed load may be tried again. */
function depthSession(): Promise<InferenceSession> {
  loading ??= readNetwork('depth')
    .then(createSession)
    .catch((error: unknown) => {
      loading = undefined;
      throw error;
    });
  return loading;
}

/**
 * Depth of a scene by FastDepth (Wofk et al., ICRA 2019, arXiv:1903.03273), in metres: (224, 224).
 *
 * @param pixels (H, W, 3) RGB, resized bilinearly
 * @throws MODEL_DAMAGED, SHAPE_MISMATCH
 */
export async function estimateDepth(pixels: Uint8Array, H: number, W: number): Promise<Float32Array> {
  const planes = new Float32Array(3 * H * W);
  for (let channel = 0; channel < 3; channel++) {
    for (let i = 0; i < H * W; i++) planes[channel * H * W + i] = pixels[3 * i + channel]! / 255;
  }
  const image = H === side && W === side ? planes : resizeBilinear(planes, H, W, side, side);
  const session = await depthSession();
  const { depth } = await session.run({ image: new Tensor('float32', image, [1, 3, side, side]) });
  return depth!.data as Float32Array;
}
