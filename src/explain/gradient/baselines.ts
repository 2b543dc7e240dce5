import { gaussianBlurGrid } from '../../shared/kernels/anomaly-map.js';
import type { ImageAxes } from '../image-axes.js';

/** Each channel of each image replaced by its mean. */
export function meanBaseline(x: Float32Array, axes: ImageAxes): Float32Array<ArrayBuffer> {
  return mapPlanes(x, axes, (plane) => plane.fill(plane.reduce((sum, value) => sum + value, 0) / plane.length));
}

/** Fong and Vedaldi, arXiv:1704.03296, blur images of 224 pixels by 10. */
const blurOfSide = 10 / 224;

/** The images themselves, blurred until only colours are left: a Gaussian of 10 / 224 of the shorter side. */
export function blurredBaseline(x: Float32Array, axes: ImageAxes): Float32Array<ArrayBuffer> {
  const { H, W } = axes;
  return mapPlanes(x, axes, (plane) => gaussianBlurGrid(plane, H, W, blurOfSide * Math.min(H, W)));
}

function mapPlanes(
  x: Float32Array,
  { N, C, H, W, channelStep, positionStep }: ImageAxes,
  map: (plane: Float32Array<ArrayBuffer>) => Float32Array,
): Float32Array<ArrayBuffer> {
  const mapped = new Float32Array(x.length);
  for (let n = 0; n < N; n++) {
    for (let c = 0; c < C; c++) {
      const first = n * C * H * W + c * channelStep;
      const plane = map(Float32Array.from({ length: H * W }, (_, p) => x[first + p * positionStep]!));
      for (let p = 0; p < H * W; p++) mapped[first + p * positionStep] = plane[p]!;
    }
  }
  return mapped;
}
