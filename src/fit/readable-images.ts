import { codeOf, type ErrorCode, messageOf, PatchlineError } from '../shared/errors.js';
import { readSize } from '../shared/image.js';
import type { Size } from '../shared/patchcore/patch-vectors.js';
import { orderedMap } from './ordered-map.js';
import type { TrainingSource } from './training-images.js';

/** A training image whose header could be read. */
export interface TrainingImage {
  source: TrainingSource;
  /** Of the upright original. */
  size: Size;
  format: string;
}

export interface SkippedImage {
  name: string;
  code: ErrorCode;
  message: string;
}

/** Reads at once: enough to hide the latency of a store over the network. */
const concurrentReads = 8;
const imageFaults: ErrorCode[] = ['IMAGE_UNREADABLE', 'UNSUPPORTED_FORMAT', 'IMAGE_TOO_LARGE'];
export const fewestImages = 5;
/** Share of unreadable images from which on something is wrong with the folder rather than with some files. */
const largestSkippedShare = 0.2;

/** The result, or what is wrong with the image; any other failure is thrown. */
export async function skipUnreadable<Result>(source: TrainingSource, read: () => Promise<Result>) {
  try {
    return await read();
  } catch (error) {
    if (!imageFaults.includes(codeOf(error))) throw error;
    return { name: source.name, code: codeOf(error), message: messageOf(error) } satisfies SkippedImage;
  }
}

export const isSkipped = (result: object): result is SkippedImage => 'code' in result;

/** Reads the headers of all images, in their order. */
export async function readHeaders(sources: readonly TrainingSource[], onRead: () => void) {
  const images: TrainingImage[] = [];
  const skipped: SkippedImage[] = [];
  const read = (source: TrainingSource) =>
    skipUnreadable(source, async (): Promise<TrainingImage> => {
      const { height, width, format } = await readSize(await source.read());
      return { source, size: { height, width }, format };
    });
  for await (const result of orderedMap(sources, concurrentReads, read)) {
    if (isSkipped(result)) skipped.push(result);
    else images.push(result);
    onRead();
  }
  return { images, skipped };
}

/** Throws DATASET_INVALID where too many images are unreadable, TOO_FEW_IMAGES where too few are left. */
export function assertEnoughImages(images: number, skipped: readonly SkippedImage[], fewest = fewestImages): void {
  const total = images + skipped.length;
  if (skipped.length > largestSkippedShare * total) {
    throw new PatchlineError(
      'DATASET_INVALID',
      `Expected readable images but ${skipText(total, skipped.slice(0, 10))}`,
      {
        details: { skipped },
      },
    );
  }
  if (images < fewest) {
    throw new PatchlineError(
      'TOO_FEW_IMAGES',
      `Expected at least ${fewest} readable training ${fewest === 1 ? 'image' : 'images'} but received ${images}`,
      { details: { skipped } },
    );
  }
}

export function skipText(total: number, skipped: readonly SkippedImage[]): string {
  const faults = skipped.map(({ name, code, message }) => `${name} (${code}: ${message})`);
  return `${skipped.length} of ${total} images could not be read: ${faults.join('; ')}`;
}
