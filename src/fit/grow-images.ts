import type { Bundle } from '../shared/bundle.js';
import type { Warning } from '../shared/contracts.js';
import { PatchlineError } from '../shared/errors.js';
import { decodeInput, type ModelInput } from '../shared/model-input.js';
import { bankLayers } from '../shared/networks.js';
import { subspaceLayers } from '../shared/patchcore/residual-graph.js';
import { aspectTolerance } from '../shared/patchcore/scorer.js';
import { distinctImages, findDuplicates } from './duplicates.js';
import type { GrowContext } from './grow.js';
import type { Base } from './grow-base.js';
import { someOf } from './labelled-images.js';
import { keptPixels } from './learn.js';
import { foldsOf } from './memory-banks.js';
import { orderedMap } from './ordered-map.js';
import { extractFeatures, type TrainingFeatures } from './patch-features.js';
import { createProjector } from './projector.js';
import type { TrainingImage } from './readable-images.js';

export type AddedImages = Awaited<ReturnType<typeof extractAdded>>;

/** Parts that the new images are dealt out to, each held out once. */
const mostFolds = 5;

/** The looks at the new images: those of a fit, with the projections of the base. Error: TOO_FEW_IMAGES where none is new. */
export async function extractAdded(base: Base, all: TrainingImage[], { compute, maxImageBytes, count }: GrowContext) {
  const { version, input, network, neighbourhood, score, seed } = base.bundle;
  const layers = score === 'fused' ? subspaceLayers : bankLayers;
  const extraction = { compute, input, maxImageBytes };
  const onExtracted = count('features', all.length);
  const seen = await extractFeatures(all, network.kind, { layers, neighbourhood }, extraction, onExtracted);
  const { known, ...features } = await withoutKnown(seen, base);
  const { images, pixels, firstOfAdded } = features;
  if (images.length === 0) {
    throw new PatchlineError(
      'TOO_FEW_IMAGES',
      `Expected at least 1 readable image that ${version} has not learned from but ${known.length} are in it already` +
        (features.skipped.length > 0 ? ` and ${features.skipped.length} cannot be read` : ''),
    );
  }
  const held = foldsOfAdded(firstOfAdded, seed);
  const projector = await createProjector(network.kind, base.projections, extraction);
  const kept = keptPixels(pixels);
  const projected = await projector.project(pixels, count('projection', images.length));
  return { ...features, ...projected, ...held, known, projector, kept };
}

/** Images that show the same are held out together. */
function foldsOfAdded(firstOf: Int32Array, seed: number) {
  const distinct = distinctImages(firstOf);
  const folds = Math.min(mostFolds, distinct.length);
  const foldOfDistinct = foldsOf(distinct.length, folds, seed);
  return { folds, foldOf: firstOf.map((first) => foldOfDistinct[distinct.indexOf(first)]!) };
}

/**
 * Leaves out the images that show the same as one of the base, by their pictures: `known` are their names. `firstOfAdded` tells
 * which of the others show the same, `firstOf` of which of all images, see `findDuplicates`.
 */
async function withoutKnown(features: TrainingFeatures, { bundle, pictures }: Base) {
  const old = pictures.length;
  const duplicates = findDuplicates(await decodeAll([...pictures, ...features.pictures], bundle.input), bundle.input);
  const kept = [...features.images.keys()].filter((image) => duplicates[old + image]! >= old);
  const firstOfAdded = Int32Array.from(kept, (image) => kept.indexOf(duplicates[old + image]! - old));
  const only = <Item>(items: Item[]) => kept.map((image) => items[image]!);
  return {
    images: only(features.images),
    pictures: only(features.pictures),
    pixels: only(features.pixels),
    embeddings: only(features.embeddings),
    appearances: only(features.appearances),
    skipped: features.skipped,
    known: features.images.filter((_, image) => duplicates[old + image]! < old).map(({ source }) => source.name),
    firstOfAdded,
    firstOf: Int32Array.from([...duplicates.subarray(0, old), ...firstOfAdded.map((first) => old + first)]),
  };
}

const concurrentDecodes = 4;

/** (H, W, 3) of each picture. */
async function decodeAll(pictures: readonly Uint8Array[], input: ModelInput): Promise<Uint8Array[]> {
  const decode = (picture: Uint8Array) => decodeInput(picture, input, { maxImageBytes: picture.length });
  const pixels: Uint8Array[] = [];
  for await (const decoded of orderedMap(pictures, concurrentDecodes, decode)) pixels.push(decoded.pixels);
  return pixels;
}

/** Names the new images whose shape is not that of the old ones: they were distorted, as they are when they are inspected. */
export function aspectWarnings({ aspect }: Bundle, images: readonly TrainingImage[]): Warning[] {
  if (aspect === null) return [];
  const distorted = images.filter(({ size }) => Math.abs(size.width / size.height / aspect - 1) > aspectTolerance);
  if (distorted.length === 0) return [];
  const names = someOf(distorted.map(({ source }) => source.name));
  const message = `${distorted.length} added images are not ${aspect.toFixed(2)} times as wide as high, as those before: they were distorted: ${names}`;
  return [{ code: 'IMAGE_ASPECT_MISMATCH', message }];
}
