import { listVersions } from '../shared/bundle.js';
import { inspectionIdOf } from '../shared/keys.js';
import { readResult } from '../shared/results.js';
import type { ObjectStore } from '../shared/store/object-store.js';
import { listOriginals, resultIdsOf } from './originals.js';
import {
  type DefectImage,
  defectImage,
  type ImageChoice,
  reviewsByImage,
  type StoredImage,
} from './reviewed-images.js';

export interface GoodOriginals {
  images: StoredImage[];
  /** How many of the images were reviewed good. */
  confirmed: number;
  /** Those reviewed anomalous. */
  defects: DefectImage[];
  /** How many nobody has reviewed and some bundle version of the product judged anomalous. */
  leftOut: number;
}

/**
 * The originals of a camera that may serve as good training images: those reviewed good, and of those that nobody has reviewed
 * all that were not judged anomalous.
 */
export async function goodOriginals(
  store: ObjectStore,
  choice: ImageChoice & { camera: string },
): Promise<GoodOriginals> {
  const versions = await listVersions(store, choice.product);
  const reviews = await reviewsByImage(store, choice);
  const found: GoodOriginals = { images: [], confirmed: 0, defects: [], leftOut: 0 };
  let results = { date: '', ids: new Set<string>() };
  const isJudgedAnomalous = async (key: string, date: string): Promise<boolean> => {
    if (results.date !== date) results = { date, ids: await resultIdsOf(store, date) };
    const ids = versions.map((version) => inspectionIdOf(key, choice.product, version, date));
    const judged = await Promise.all(ids.filter((id) => results.ids.has(id)).map((id) => readResult(store, id)));
    return judged.some((result) => result?.status !== 'failed' && result?.verdict === 'anomalous');
  };
  for await (const { key, date } of listOriginals(store, choice)) {
    const image = { name: key, read: () => store.get(key) };
    const review = reviews.get(key);
    if (review?.verdict === 'anomalous') found.defects.push(defectImage(image, review));
    else if (review) {
      found.images.push(image);
      found.confirmed++;
    } else if (await isJudgedAnomalous(key, date)) found.leftOut++;
    else found.images.push(image);
  }
  return found;
}
