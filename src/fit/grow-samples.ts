import { shareFloats } from '../shared/compute.js';
import type { Warning } from '../shared/contracts.js';
import { featureNames } from '../shared/kernels/readable-features.js';
import { featureChannels } from '../shared/networks.js';
import {
  type DefectFeatures,
  type DefectOptions,
  defectWarnings,
  extractDefects,
  extractLabelled,
} from './defect-images.js';
import type { DefectSamples } from './defect-samples.js';
import type { Base } from './grow-base.js';
import type { TrainingSource } from './training-images.js';

/**
 * Images of defects to learn from besides those of the bundle: labelled ones where it learned from such, else as for a fit, with
 * as many made on each new image as on each old one. `known` are labelled ones that the bundle has already.
 */
export async function extractMoreDefects(
  { bundle: { images, classifier }, samples }: Base,
  sources: readonly TrainingSource[],
  options: DefectOptions & { added: number },
): Promise<DefectFeatures & { labelled: number; known: string[]; warnings: Warning[] }> {
  if (classifier.defects === 'synthetic') {
    const fewest = options.added * Math.ceil(classifier.count / images);
    return extractDefects(sources, { ...options, fewest });
  }
  const learned = placesOf(samples, 1).map((place) => embeddingAt(samples, place));
  const { skipped, repeated, ...labelled } = await extractLabelled(sources, { ...options, learned });
  const count = classifier.count + labelled.madeOn.length;
  return { ...labelled, labelled: count, warnings: defectWarnings(count, { skipped, repeated }) };
}

const placesOf = ({ labels }: DefectSamples, label: number): number[] =>
  [...labels.keys()].filter((place) => labels[place] === label);

const embeddingAt = ({ embeddings }: DefectSamples, place: number): Float32Array =>
  embeddings.subarray(place * featureChannels, (place + 1) * featureChannels);

/**
 * The samples of a bundle and new ones, good images first. Synthetic defects of the bundle are left out where there are labelled
 * ones now.
 *
 * @param images of the bundle: those of the new samples are numbered after them
 */
export function joinSamples(
  old: DefectSamples,
  added: DefectSamples,
  images: number,
  keepOldDefects: boolean,
): DefectSamples {
  const take = (from: DefectSamples, label: number) => placesOf(from, label).map((index) => ({ from, index }));
  const kept = [...take(old, 0), ...take(added, 0), ...(keepOldDefects ? take(old, 1) : []), ...take(added, 1)];
  const addedImages = placesOf(added, 0).length;
  const C = featureChannels;
  const D = featureNames.length;
  const embeddings = new Float32Array(kept.length * C);
  const features = new Float64Array(kept.length * D);
  kept.forEach(({ from, index }, sample) => {
    embeddings.set(embeddingAt(from, index), sample * C);
    features.set(from.features.subarray(index * D, (index + 1) * D), sample * D);
  });
  return {
    embeddings: shareFloats(embeddings),
    features,
    labels: Uint8Array.from(kept, ({ from, index }) => from.labels[index]!),
    groups: Int32Array.from(kept, ({ from, index }, sample) => {
      const group = from.groups[index]!;
      const ofImage = group < (from === old ? images : addedImages);
      if (!ofImage) return sample; // a labelled defect belongs to no image
      return from === old ? group : images + group;
    }),
  };
}
