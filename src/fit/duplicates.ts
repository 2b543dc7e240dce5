import { inspectedPart, type ModelInput } from '../shared/model-input.js';
import { foldsOf } from './memory-banks.js';
import { foldsFor } from './profile.js';
import { fewestImages } from './readable-images.js';

/** Grey levels that two pictures of the same may differ by, on average: a JPEG written anew differs by less, another part by more. */
const largestDifference = 0.5;
const thumbnailSide = 16;

/**
 * Of each image (N) the number of the first that shows the same, its own where there is none before it: their pixels at model
 * size, where they are inspected, differ by less than half a grey level on average.
 *
 * @param pixels (H, W, 3) of each, H and W multiples of 16
 */
export function findDuplicates(pixels: readonly Uint8Array[], input: ModelInput): Int32Array {
  const mask = inspectedPart(input)?.mask;
  const share = mask ? mask.reduce((sum, value) => sum + value, 0) / mask.length : 1;
  const thumbnails = pixels.map((ofImage) => thumbnailOf(ofImage, input));
  const firstOf = Int32Array.from(pixels.keys());
  for (const image of pixels.keys()) {
    for (let earlier = 0; earlier < image; earlier++) {
      if (firstOf[earlier] !== earlier) continue;
      // Means of blocks never differ by more than the blocks do, and are compared quickly.
      if (!isClose(thumbnails[image]!, thumbnails[earlier]!, share)) continue;
      if (!isClose(pixels[image]!, pixels[earlier]!, share)) continue;
      firstOf[image] = earlier;
      break;
    }
  }
  return firstOf;
}

/** (16, 16) means over the pixels and channels of blocks. */
function thumbnailOf(pixels: Uint8Array, { height: H, width: W }: ModelInput): Float32Array {
  const [blockHeight, rowValues] = [H / thumbnailSide, 3 * W];
  const blockValues = rowValues / thumbnailSide;
  const sums = new Float32Array(thumbnailSide ** 2);
  for (let y = 0, i = 0; y < H; y++) {
    const row = thumbnailSide * Math.floor(y / blockHeight);
    for (let x = 0; x < rowValues; x++, i++) sums[row + Math.floor(x / blockValues)]! += pixels[i]!;
  }
  return sums.map((sum) => sum / (blockHeight * blockValues));
}

function isClose(a: Float32Array | Uint8Array, b: Float32Array | Uint8Array, inspectedShare: number): boolean {
  const limit = largestDifference * inspectedShare * a.length;
  let sum = 0;
  for (let i = 0; i < a.length && sum < limit; i++) sum += Math.abs(a[i]! - b[i]!);
  return sum < limit;
}

/** Numbers of the images that show something new. */
export const distinctImages = (firstOf: Int32Array): number[] =>
  [...firstOf.keys()].filter((image) => firstOf[image] === image);

/**
 * The fold in which each image is held out, and how many folds there are. Duplicates are held out together, since a bank that
 * has seen one of them has seen the other; where too few images differ, there is nothing else to hold them out from.
 */
export function foldsOfDistinct(firstOf: Int32Array, seed: number): { foldOf: Int32Array; folds: number } {
  const distinct = distinctImages(firstOf);
  const dealt = distinct.length < fewestImages ? [...firstOf.keys()] : distinct;
  const folds = foldsFor(dealt.length);
  const foldOfDealt = foldsOf(dealt.length, folds, seed);
  const placeOf = new Map(dealt.map((image, place) => [image, place]));
  return { folds, foldOf: firstOf.map((first, image) => foldOfDealt[placeOf.get(image) ?? placeOf.get(first)!]!) };
}
