import { listVersions } from '../shared/bundle.js';
import { inspectionIdOf } from '../shared/keys.js';
import { readResult } from '../shared/results.js';
import type { ObjectStore } from '../shared/store/object-store.js';
import { listOriginals, resultIdsOf } from './originals.js';

export interface GoodOriginals {
  images: { name: string; read(): Promise<Uint8Array> }[];
  /** How many were judged anomalous, by any bundle version of the product. */
  leftOut: number;
}

/** The originals of a camera that may serve as good training images: all but those that were judged anomalous. */
export async function goodOriginals(
  store: ObjectStore,
  { camera, product, since, until }: { camera: string; product: string; since?: string; until?: string },
): Promise<GoodOriginals> {
  const versions = await listVersions(store, product);
  const images: GoodOriginals['images'] = [];
  let leftOut = 0;
  let results = { date: '', ids: new Set<string>() };
  for await (const { key, date } of listOriginals(store, { camera, since, until })) {
    if (results.date !== date) results = { date, ids: await resultIdsOf(store, date) };
    const ids = versions.map((version) => inspectionIdOf(key, product, version, date));
    const judged = await Promise.all(ids.filter((id) => results.ids.has(id)).map((id) => readResult(store, id)));
    if (judged.some((result) => result?.status !== 'failed' && result?.verdict === 'anomalous')) leftOut++;
    else images.push({ name: key, read: () => store.get(key) });
  }
  return { images, leftOut };
}
