import { type DecodedImage, decodeImage } from './image.js';
import { coverUninspected, inspectedPatches, type Region, regionMask } from './kernels/region-mask.js';
import { gridOf, patchStride, type Size } from './patchcore/patch-vectors.js';

/** What a network is given of each image: its size, and which part of the image is shown. */
export interface ModelInput extends Size {
  region?: Region;
}

/** Decodes an image as the network is given it: what lies outside the region is covered. Errors as `decodeImage`. */
export async function decodeInput(
  bytes: Uint8Array,
  input: ModelInput,
  limits: { maxImageBytes: number },
): Promise<DecodedImage> {
  const decoded = await decodeImage(bytes, input, limits);
  const part = inspectedPart(input);
  if (part) coverUninspected(decoded.pixels, part.mask);
  return decoded;
}

/** What of a model input is inspected. */
export interface InspectedPart {
  /** (H, W): 1 where it is inspected, else 0 */
  mask: Uint8Array;
  /** Numbers of the inspected patches, ascending. */
  patches: Int32Array;
}

/** Parts by region and size: finding one takes longer than decoding a small image. */
const parts = new Map<string, InspectedPart>();
/** A worker sees as many as it has cameras. */
const mostParts = 64;

/** undefined where all is inspected. */
export function inspectedPart({ height, width, region }: ModelInput): InspectedPart | undefined {
  if (!region) return undefined;
  const id = JSON.stringify([region, height, width]);
  const part = parts.get(id) ?? findPart(region, { height, width });
  if (parts.size >= mostParts) parts.clear();
  parts.set(id, part);
  return part;
}

function findPart(region: Region, size: Size): InspectedPart {
  const mask = regionMask(region, size.height, size.width);
  const grid = gridOf(size);
  return { mask, patches: inspectedPatches(mask, grid.height, grid.width, patchStride) };
}
