import { resizeBilinear } from '../../shared/kernels/resize.js';
import { expectShape } from '../../shared/kernels/shape.js';
import { scaleEach } from '../display.js';
import type { ImageAxes } from '../image-axes.js';
import type { Rows } from '../rows.js';
import { weightedSum } from './weighted-sum.js';

// Activations A are (C, h, w) of one image, masks (C, H, W) at the size of the input; K classes.

export type ScoreCamVariant = 'logit-weights' | 'softmax-weights';

/**
 * The masks of Score-CAM: each channel of A enlarged to the input and scaled to 0 .. 1; a constant channel is 0.
 * `logit-weights` scales before it enlarges, with half-pixel centres; `softmax-weights` enlarges first, corner on corner.
 *
 * @returns the mask (H, W) of channel c
 * @throws SHAPE_MISMATCH
 */
export function scoreCamMasks(
  activations: Float32Array,
  { C, h, w }: { C: number; h: number; w: number },
  { H, W }: { H: number; W: number },
  variant: ScoreCamVariant,
): (c: number) => Float32Array {
  expectShape('activations', activations, { C, h, w });
  const channel = (c: number) => activations.subarray(c * h * w, (c + 1) * h * w);
  return variant === 'logit-weights'
    ? (c) => resizeBilinear(scaleEach(channel(c), 1), h, w, H, W)
    : (c) => scaleEach(resizeToCorners(channel(c), h, w, H, W), 1);
}

/** Bilinear resize that keeps corners on corners (torch `interpolate`, align_corners=True). */
function resizeToCorners(plane: Float32Array, h: number, w: number, H: number, W: number): Float32Array<ArrayBuffer> {
  const result = new Float32Array(H * W);
  for (let y = 0, i = 0; y < H; y++) {
    const row = H > 1 ? (y * (h - 1)) / (H - 1) : 0;
    const above = Math.min(Math.floor(row), h - 1);
    const below = Math.min(above + 1, h - 1);
    for (let x = 0; x < W; x++, i++) {
      const column = W > 1 ? (x * (w - 1)) / (W - 1) : 0;
      const left = Math.min(Math.floor(column), w - 1);
      const right = Math.min(left + 1, w - 1);
      const top = plane[above * w + left]! * (1 - (column - left)) + plane[above * w + right]! * (column - left);
      const bottom = plane[below * w + left]! * (1 - (column - left)) + plane[below * w + right]! * (column - left);
      result[i] = top * (1 - (row - above)) + bottom * (row - above);
    }
  }
  return result;
}

/** The images to score: image n under each of its masks, (N · C) rows. */
export function maskedRows(
  x: Float32Array,
  { N, C: colours, H, W, channelStep, positionStep }: ImageAxes,
  masks: readonly ((c: number) => Float32Array)[],
  C: number,
): Rows {
  const size = colours * H * W;
  const write = (index: number, target: Float32Array) => {
    const n = Math.floor(index / C);
    const mask = masks[n]!(index % C);
    for (let k = 0; k < colours; k++) {
      for (let p = 0, i = k * channelStep; p < H * W; p++, i += positionStep) target[i] = x[n * size + i]! * mask[p]!;
    }
  };
  return { count: N * C, write };
}

/**
 * Score-CAM: how much of a class score each channel's mask lets through decides about its weight.
 * (Wang et al., arXiv:1910.01279, Eq. 6 to 8.) `softmax-weights` is Σ_c softmax(scores)_c A_c, (h, w); `logit-weights` is
 * Σ_c scores_c mask_c, (H, W). Neither takes the score of an empty image away, and both are before ReLU.
 *
 * @param scores (C): of the class, for the image under each mask
 */
export function scoreCam(
  activations: Float32Array,
  scores: Float32Array,
  { C, h, w }: { C: number; h: number; w: number },
  { H, W }: { H: number; W: number },
  variant: ScoreCamVariant,
): Float32Array<ArrayBuffer> {
  expectShape('scores', scores, { C });
  if (variant === 'softmax-weights') return weightedSum(activations, softmax(scores), h, w);
  // The enlarged sum is the sum of the masks, which are enlarged channels.
  return resizeBilinear(weightedSum(scaleEach(activations, C), Float64Array.from(scores), h, w), h, w, H, W);
}

export function softmax(scores: Float32Array): Float64Array<ArrayBuffer> {
  const largest = scores.reduce((most, score) => Math.max(most, score), Number.NEGATIVE_INFINITY);
  const powers = Float64Array.from(scores, (score) => Math.exp(score - largest));
  const sum = powers.reduce((total, power) => total + power, 0);
  return powers.map((power) => power / sum);
}
