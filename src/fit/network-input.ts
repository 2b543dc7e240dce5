import { networkStride } from '../shared/networks.js';
import type { Size } from '../shared/patchcore/patch-vectors.js';
import { aspectTolerance } from '../shared/patchcore/scorer.js';

/** Side of the square that images are squashed to: a larger one finds no more. */
const squashedSide = 224;

export interface NetworkInput {
  input: Size;
  /** Width over height of the images; null where they differ too much and every image is squashed to a square. */
  aspect: number | null;
}

/** Keeps the aspect of the training images where theirs agree within 5 %, at an area of about side × side pixels. */
export function chooseInput(sizes: readonly Size[], side: number): NetworkInput {
  const aspects = sizes.map(({ height, width }) => width / height).sort((a, b) => a - b);
  if (aspects.at(-1)! > aspects[0]! * (1 + aspectTolerance))
    return { input: { height: squashedSide, width: squashedSide }, aspect: null };
  const aspect = aspects[Math.floor(aspects.length / 2)]!;
  const rounded = (pixels: number) => Math.max(1, Math.round(pixels / networkStride)) * networkStride;
  return { input: { height: rounded(side / Math.sqrt(aspect)), width: rounded(side * Math.sqrt(aspect)) }, aspect };
}
