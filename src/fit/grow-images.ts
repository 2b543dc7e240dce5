import type { Bundle } from '../shared/bundle.js';
import type { Warning } from '../shared/contracts.js';
import { PatchlineError } from '../shared/errors.js';
import { sha256 } from '../shared/keys.js';
import { bankLayers } from '../shared/networks.js';
import { subspaceLayers } from '../shared/patchcore/residual-graph.js';
import { aspectTolerance } from '../shared/patchcore/scorer.js';
import type { GrowContext } from './grow.js';
import type { Base } from './grow-base.js';
import { someOf } from './labelled-images.js';
import { keptPixels } from './learn.js';
import { foldsOf } from './memory-banks.js';
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
  const { known, ...features } = withoutKnown(seen, base.pictures);
  const { images, pixels } = features;
  if (images.length === 0) {
    throw new PatchlineError(
      'TOO_FEW_IMAGES',
      `Expected at least 1 readable image that ${version} has not learned from but ${known.length} are in it already` +
        (features.skipped.length > 0 ? ` and ${features.skipped.length} cannot be read` : ''),
    );
  }
  const folds = Math.min(mostFolds, images.length);
  const foldOf = foldsOf(images.length, folds, seed);
  const projector = await createProjector(network.kind, base.projections, extraction);
  const kept = keptPixels(pixels);
  const projected = await projector.project(pixels, count('projection', images.length));
  return { ...features, ...projected, known, folds, foldOf, projector, kept };
}

/** Leaves out the images whose pictures are there already; `known` are their names. */
function withoutKnown(features: TrainingFeatures, pictures: readonly Uint8Array[]) {
  const old = new Set(pictures.map(sha256));
  const isNew = features.pictures.map((picture) => !old.has(sha256(picture)));
  const only = <Item>(items: Item[]) => items.filter((_, image) => isNew[image]);
  return {
    images: only(features.images),
    pictures: only(features.pictures),
    pixels: only(features.pixels),
    embeddings: only(features.embeddings),
    appearances: only(features.appearances),
    skipped: features.skipped,
    known: features.images.filter((_, image) => !isNew[image]).map(({ source }) => source.name),
  };
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
