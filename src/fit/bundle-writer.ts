import { activateBundle } from '../shared/active-bundle.js';
import {
  type Bundle,
  bundleCardKey,
  bundleKey,
  claimVersion,
  oddImagesKey,
  type Part,
  type PartName,
  type SamplePartName,
  type Subspace,
  type SubspacePartName,
  trainingPictureKey,
} from '../shared/bundle.js';
import { bundleFolder, sha256 } from '../shared/keys.js';
import { type NpyArray, writeNpy } from '../shared/npy.js';
import { type ObjectStore, putJson } from '../shared/store/object-store.js';
import { describeBundle } from './bundle-card.js';
import { drawOddImages } from './odd-images.js';
import { orderedMap } from './ordered-map.js';

/** Everything about a bundle that is known before it has a version. */
export type BundleDraft = Omit<Bundle, 'version' | 'createdAt' | 'parts' | 'subspace' | 'sampleParts' | 'training'> & {
  subspace?: Omit<Subspace, 'parts'>;
  trainingImages: Bundle['training']['images'];
};

/** Objects written at once. */
const concurrentPuts = 16;

export interface BundleContents {
  store: ObjectStore;
  draft: BundleDraft;
  arrays: Record<PartName, NpyArray>;
  /** Where the draft describes a subspace. */
  subspaceArrays?: Record<SubspacePartName, NpyArray>;
  /** Without them the bundle cannot grow. */
  sampleArrays?: Record<SamplePartName, NpyArray>;
  /** JPEG of each training image. */
  pictures: readonly Uint8Array[];
  activate: boolean;
  /** Starts counting the objects written. */
  count(total: number): () => void;
}

/** Claims the next version and writes parts, training pictures, card and, last, bundle.json. */
export async function writeBundle(contents: BundleContents): Promise<Bundle> {
  const { store, draft, arrays, subspaceArrays, sampleArrays, pictures, activate, count } = contents;
  const { trainingImages, subspace, ...described } = draft;
  const version = await claimVersion(store, draft.product);
  const folder = bundleFolder(draft.product, version);
  const { files, parts } = partsOf(folder, arrays);
  const second = subspaceArrays && partsOf(folder, subspaceArrays);
  const samples = sampleArrays && partsOf(folder, sampleArrays);
  const bundle: Bundle = {
    ...described,
    version,
    createdAt: new Date().toISOString(),
    parts,
    ...(subspace && { subspace: { ...subspace, parts: second!.parts } }),
    ...(samples && { sampleParts: samples.parts }),
    training: { folder: `${folder}/training`, images: trainingImages },
  };
  const objects = [
    ...files,
    ...(second?.files ?? []),
    ...(samples?.files ?? []),
    ...pictures.map((bytes, image) => ({ key: trainingPictureKey(bundle, image), bytes })),
  ];
  const onWritten = count(objects.length);
  for await (const _ of orderedMap(objects, concurrentPuts, ({ key, bytes }) => store.put(key, bytes))) onWritten();
  await publishBundle(store, bundle, { activate, pictureOf: async (image) => pictures[image]! });
  return bundle;
}

export interface Publishing {
  activate: boolean;
  /** JPEG of a training image. */
  pictureOf(image: number): Promise<Uint8Array>;
}

/** Writes what people look at and, last, bundle.json, of a bundle whose parts and training pictures are there. */
export async function publishBundle(store: ObjectStore, bundle: Bundle, { activate, pictureOf }: Publishing) {
  const { product, version, oddImages } = bundle;
  if (oddImages.length > 0) {
    await store.put(oddImagesKey(product, version), await drawOddImages(bundle, pictureOf));
  }
  await store.put(bundleCardKey(product, version), new TextEncoder().encode(describeBundle(bundle)));
  await putJson(store, bundleKey(product, version), bundle);
  if (activate) await activateBundle(store, product, version);
}

/** The files of some arrays, and how bundle.json names them. */
function partsOf<Name extends string>(folder: string, arrays: Record<Name, NpyArray>) {
  const files = (Object.keys(arrays) as Name[]).map((name) => {
    const bytes = writeNpy(arrays[name], name);
    return { name, key: `${folder}/${name}.npy`, bytes };
  });
  const parts = files.map(({ name, key, bytes }): [Name, Part] => [
    name,
    { key, sha256: sha256(bytes), bytes: bytes.length },
  ]);
  return { files, parts: Object.fromEntries(parts) as Record<Name, Part> };
}
