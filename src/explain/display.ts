import { expectShape } from '../shared/kernels/shape.js';
import type { FloatTensor } from '../shared/onnx/run-graph.js';
import { displayCam } from './cam/display.js';
import type { ImageAxes } from './image-axes.js';
import type { Method } from './methods.js';
import { sampleOf } from './question.js';

/** An explanation as it is shown: 0 .. 1 at the size of the input, (N, H, W). */
export function displayExplanation(kind: Method['kind'], { data, dims }: FloatTensor, axes: ImageAxes): FloatTensor {
  const { N, H, W } = axes;
  const shown = { dims: [N, H, W] };
  if (kind === 'attribution') return { data: displayAttribution(data, axes), ...shown };
  if (kind === 'saliency') return { data: scaleEach(data, N), ...shown };
  const [, h, w] = dims as [number, number, number];
  const all = new Float32Array(N * H * W);
  for (let n = 0; n < N; n++) all.set(displayCam(Float32Array.from(sampleOf(data, n, N)), h, w, H, W), n * H * W);
  return { data: all, ...shown };
}

/**
 * Where a signed attribution is large: Σ_c |v|, scaled to 0 .. 1 in each image.
 *
 * @param values as `axes` say @returns (N, H, W)
 * @throws SHAPE_MISMATCH
 */
export function displayAttribution(values: Float32Array, axes: ImageAxes): Float32Array<ArrayBuffer> {
  return scaleEach(sumOfMagnitudes(values, axes), axes.N);
}

/** Σ_c |v|, (N, H, W). @throws SHAPE_MISMATCH */
export function sumOfMagnitudes(values: Float32Array, axes: ImageAxes): Float32Array<ArrayBuffer> {
  const { N, C, H, W, channelStep, positionStep } = axes;
  expectShape('values', values, { N, C, H, W });
  const sums = new Float32Array(N * H * W);
  for (let n = 0, i = 0; n < N; n++) {
    for (let p = 0; p < H * W; p++, i++) {
      const first = n * C * H * W + p * positionStep;
      let sum = 0;
      for (let c = 0; c < C; c++) sum += Math.abs(values[first + c * channelStep]!);
      sums[i] = sum;
    }
  }
  return sums;
}

/** Each of N equal parts as (v - min) / (max - min); 0 where all its values are alike. */
export function scaleEach(values: Float32Array, N: number): Float32Array<ArrayBuffer> {
  const size = values.length / N;
  const scaled = new Float32Array(values.length);
  for (let n = 0; n < N; n++) {
    let [lowest, highest] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
    for (let i = n * size; i < (n + 1) * size; i++) {
      lowest = Math.min(lowest, values[i]!);
      highest = Math.max(highest, values[i]!);
    }
    const range = highest - lowest;
    if (range === 0) continue;
    for (let i = n * size; i < (n + 1) * size; i++) scaled[i] = (values[i]! - lowest) / range;
  }
  return scaled;
}
