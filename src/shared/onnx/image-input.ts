import { PatchlineError } from '../errors.js';
import { toGrey } from '../kernels/grey.js';
import { resizeAntialiased } from '../kernels/resize.js';
import { expectShape } from '../kernels/shape.js';
import { inputsOf } from './graph-builder.js';
import { elementTypes, type GraphProto } from './model.js';

/** How pixels become what an image network was trained on. */
export interface Preprocessing {
  /** What white is: 1 or 255. */
  scale: 1 | 255;
  /** Subtracted from each channel after scaling, so in the units of `scale`. */
  mean?: readonly number[] | undefined;
  /** What each channel is divided by then. */
  std?: readonly number[] | undefined;
  layout: 'nchw' | 'nhwc';
}

/** The one input of an image network. */
export interface ImageInput {
  name: string;
  channels: 1 | 3;
  /** undefined where the network takes any. */
  height?: number;
  width?: number;
  layout: Preprocessing['layout'];
  scale: number;
  /** (channels) */
  mean: number[];
  std: number[];
}

/**
 * The input of a network that takes one image: float32, of four axes, with 1 or 3 channels.
 *
 * @throws MODEL_INPUT_MISMATCH, CONFIG_INVALID where mean or std have another number of channels
 */
export function readImageInput(graph: GraphProto, { scale, mean, std, layout }: Preprocessing): ImageInput {
  const inputs = inputsOf(graph);
  const tensor = inputs[0]?.type?.tensorType;
  const axes = tensor?.shape?.dim.map(({ dimValue, dimParam }) => dimValue || dimParam || '?') ?? [];
  const [batch, ...others] = axes;
  const [channels, height, width] = layout === 'nchw' ? others : [others[2], others[0], others[1]];
  const fits =
    inputs.length === 1 &&
    tensor?.elemType === elementTypes.float32 &&
    axes.length === 4 &&
    (typeof batch === 'string' || batch === 1) &&
    (channels === 1 || channels === 3);
  if (!fits) {
    const [type] = Object.entries(elementTypes).find(([, code]) => code === tensor?.elemType) ?? ['another type'];
    const received = inputs.length === 1 ? `${type} of [${axes.join(', ')}]` : `${inputs.length} inputs`;
    const form = layout === 'nchw' ? '[1, channels, height, width]' : '[1, height, width, channels]';
    throw new PatchlineError(
      'MODEL_INPUT_MISMATCH',
      `Expected one image of float32 ${form} with 1 or 3 channels as the input (layout ${layout}) but received ${received}`,
    );
  }
  return {
    name: inputs[0]!.name,
    channels,
    ...(typeof height === 'number' && { height }),
    ...(typeof width === 'number' && { width }),
    layout,
    scale,
    mean: perChannel('mean', mean, channels, 0),
    std: perChannel('std', std, channels, 1),
  };
}

function perChannel(name: string, values: readonly number[] | undefined, channels: number, other: number): number[] {
  const each = values ? [...values] : new Array<number>(channels).fill(other);
  if (each.length === channels) return each;
  throw new PatchlineError(
    'CONFIG_INVALID',
    `Expected ${channels} ${channels === 1 ? 'value' : 'values'} for ${name}, one per channel, but received ${each.length}`,
  );
}

/**
 * An image as a network takes it: grey for one channel, 0 .. 1, resized bilinearly, then (value · scale - mean) / std.
 *
 * @param pixels (H, W, 3) RGB
 * @returns data and dims of a batch of 1 in the layout of the input
 * @throws SHAPE_MISMATCH
 */
export function prepareImage(pixels: Uint8Array, H: number, W: number, input: ImageInput) {
  expectShape('pixels', pixels, { H, W, C: 3 });
  const { channels: C, height = H, width = W, layout, scale, mean, std } = input;
  const planes = planesOf(C === 1 ? toGrey(pixels) : pixels, C, H * W);
  const resized = height === H && width === W ? planes : resizeAntialiased(planes, H, W, height, width);
  const positions = height * width;
  const data = new Float32Array(C * positions);
  const [channelStep, positionStep] = layout === 'nchw' ? [positions, 1] : [1, C];
  for (let c = 0; c < C; c++) {
    for (let p = 0; p < positions; p++) {
      const value = (resized[c * positions + p]! * scale - mean[c]!) / std[c]!;
      data[c * channelStep + p * positionStep] = value;
    }
  }
  return { data, dims: layout === 'nchw' ? [1, C, height, width] : [1, height, width, C] };
}

/** (P, C) of 0 .. 255 -> (C, P) of 0 .. 1 */
function planesOf(samples: Uint8Array, C: number, P: number): Float32Array<ArrayBuffer> {
  const planes = new Float32Array(C * P);
  for (let c = 0; c < C; c++) {
    for (let p = 0; p < P; p++) planes[c * P + p] = samples[p * C + c]! / 255;
  }
  return planes;
}
