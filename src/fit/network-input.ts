import { networkStride } from '../shared/networks.js';
import type { Size } from '../shared/patchcore/patch-vectors.js';
import { aspectTolerance } from '../shared/patchcore/scorer.js';

/** Side of the square that images are squashed to: a larger one finds no more. */
const squashedSide = 224;

/** Rows and columns of tiles: the network sees so many times more of an image, down and across. */
export interface Tiles {
  rows: number;
  columns: number;
}

export const oneTile: Tiles = { rows: 1, columns: 1 };

export interface NetworkInput {
  input: Size;
  /** Width over height of the images; null where they differ too much and every image is squashed to a square. */
  aspect: number | null;
}

/**
 * Keeps the aspect of the training images where theirs agree within 5 %, at an area of about side × side pixels for each tile.
 *
 * The tiles are not cut: the network is a convolution, so that one pass over all of them gives what tiles with the widest
 * overlap would give, without seams and without computing the overlap twice.
 */
export function chooseInput(sizes: readonly Size[], side: number, { rows, columns } = oneTile): NetworkInput {
  const aspects = sizes.map(({ height, width }) => width / height).sort((a, b) => a - b);
  if (aspects.at(-1)! > aspects[0]! * (1 + aspectTolerance))
    return { input: { height: squashedSide * rows, width: squashedSide * columns }, aspect: null };
  const aspect = aspects[Math.floor(aspects.length / 2)]!;
  const ofTile = (aspect * rows) / columns;
  const rounded = (pixels: number) => Math.max(1, Math.round(pixels / networkStride)) * networkStride;
  const [height, width] = [rounded(side / Math.sqrt(ofTile)) * rows, rounded(side * Math.sqrt(ofTile)) * columns];
  return { input: { height, width }, aspect };
}
