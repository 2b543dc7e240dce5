import sharp from 'sharp';
import { decodeImage, readSize } from '../image.js';

const longestSide = 480;

/**
 * A small upright JPEG of an image of any kind, which every browser shows; small ones keep their size. Errors as decodeImage,
 * but for any number of bytes.
 */
export async function thumbnailJpeg(bytes: Uint8Array): Promise<Uint8Array> {
  const original = await readSize(bytes);
  const scale = Math.min(1, longestSide / Math.max(original.height, original.width));
  const height = Math.max(1, Math.round(original.height * scale));
  const width = Math.max(1, Math.round(original.width * scale));
  const { pixels } = await decodeImage(bytes, { height, width }, { maxImageBytes: Number.POSITIVE_INFINITY });
  return await sharp(pixels, { raw: { height, width, channels: 3 } })
    .jpeg({ quality: 85 })
    .toBuffer();
}
