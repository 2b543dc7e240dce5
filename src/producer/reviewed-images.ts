import pMap from 'p-map';
import { PatchlineError } from '../shared/errors.js';
import { readImage } from '../shared/read-image.js';
import { readResult } from '../shared/results.js';
import { type Review, readReview } from '../shared/reviews.js';
import { listAll, type ObjectStore } from '../shared/store/object-store.js';

export interface ImageChoice {
  product: string;
  /** All cameras where it is not given. */
  camera?: string;
  /** UTC dates of capture, yyyy-mm-dd, both inclusive. */
  since?: string;
  until?: string;
}

/** An image of the store to learn from. */
export interface StoredImage {
  name: string;
  read(): Promise<Uint8Array>;
}

/** An image that was reviewed anomalous. */
export interface DefectImage extends StoredImage {
  /** Where the review names it. */
  defectType?: string;
}

const requestsAtOnce = 16;

/** The review of each image by its key, in order; the last one where several inspections of it were reviewed. */
export async function reviewsByImage(store: ObjectStore, choice: ImageChoice): Promise<Map<string, Review>> {
  const { product, camera } = choice;
  const readOne = async (id: string) => {
    const [result, review] = await Promise.all([readResult(store, id), readReview(store, id)]);
    const isWanted = result?.product === product && (camera === undefined || result.camera === camera);
    return isWanted && review ? [{ imageKey: result.imageKey, review }] : [];
  };
  const ids: string[] = [];
  for await (const id of reviewedIds(store, choice)) ids.push(id);
  const found = (await pMap(ids, readOne, { concurrency: requestsAtOnce })).flat();
  found.sort((a, b) => compare(a.imageKey, b.imageKey) || compare(a.review.at, b.review.at));
  return new Map(found.map(({ imageKey, review }) => [imageKey, review]));
}

const compare = (a: string, b: string): number => (a < b ? -1 : Number(a > b));

async function* reviewedIds(store: ObjectStore, { since = '', until = '9999' }: ImageChoice): AsyncGenerator<string> {
  for await (const { key } of listAll(store, 'inspections/', `inspections/${since}`)) {
    const [, date, inspectionId, file] = key.split('/');
    if (date! > until) return;
    if (file === 'review.json') yield inspectionId!;
  }
}

export const defectImage = (image: StoredImage, { defectType }: Review): DefectImage => ({
  ...image,
  ...(defectType !== undefined && { defectType }),
});

export interface ConfirmedImages {
  /** Reviewed good. */
  images: StoredImage[];
  /** Reviewed anomalous. */
  defects: DefectImage[];
  /** How many were reviewed whose original is not there any more. */
  gone: number;
}

/** The images of a product that people have judged, as far as they are still there. */
export async function confirmedImages(store: ObjectStore, choice: ImageChoice): Promise<ConfirmedImages> {
  const reviews = [...(await reviewsByImage(store, choice))];
  const isThere = await pMap(reviews, ([imageKey]) => exists(store, imageKey), { concurrency: requestsAtOnce });
  const found: ConfirmedImages = { images: [], defects: [], gone: 0 };
  for (const [index, [name, review]] of reviews.entries()) {
    const image = { name, read: () => readImage(store, name) };
    if (!isThere[index]) found.gone++;
    else if (review.verdict === 'good') found.images.push(image);
    else found.defects.push(defectImage(image, review));
  }
  return found;
}

/** An original may lie elsewhere on the same S3 endpoint. */
async function exists(store: ObjectStore, imageKey: string): Promise<boolean> {
  if (!imageKey.startsWith('s3://')) return (await store.head(imageKey)) !== undefined;
  try {
    await readImage(store, imageKey);
    return true;
  } catch (error) {
    if (error instanceof PatchlineError && error.code === 'IMAGE_NOT_FOUND') return false;
    throw error;
  }
}
