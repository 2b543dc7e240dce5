import { type InferenceSession, Tensor } from 'onnxruntime-node';
import { resizeBilinear } from './kernels/resize.js';
import { readNetwork } from './networks.js';
import { readModel, writeModel } from './onnx/model.js';
import { createSession } from './onnx/session.js';

/** What the depth network was trained at: at other sizes its metres are off. */
const side = 224;

let loading: Promise<InferenceSession> | undefined;

/** This thread's session, loaded when first asked for; a failed load may be tried again. */
function depthSession(): Promise<InferenceSession> {
  loading ??= readNetwork('depth')
    .then((network) => createSession(withoutLastEnlargement(network)))
    .catch((error: unknown) => {
      loading = undefined;
      throw error;
    });
  return loading;
}

/**
 * The last Resize repeats every pixel four times, and what follows treats each pixel by itself: without it the same depths come
 * out once each, so that mean and variance stay as they are.
 */
function withoutLastEnlargement(network: Uint8Array): Uint8Array {
  const model = readModel(network);
  const { node: nodes } = model.graph;
  const [resize] = nodes.splice(
    nodes.findLastIndex(({ opType }) => opType === 'Resize'),
    1,
  );
  const [before, after] = [resize!.input[0]!, resize!.output[0]!];
  for (const node of nodes) node.input = node.input.map((name) => (name === after ? before : name));
  model.graph.output[0]!.type!.tensorType!.shape = undefined;
  return writeModel(model);
}

/**
 * Depth of a scene by FastDepth (Wofk et al., ICRA 2019, arXiv:1903.03273), in metres: (112, 112), half the size at which the network looks.
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
