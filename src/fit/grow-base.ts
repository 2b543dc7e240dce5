import {
  assertNetwork,
  type Bundle,
  readBundle,
  type SamplePartName,
  type Subspace,
  trainingPictureKey,
} from '../shared/bundle.js';
import { type Form, formsOf, readParts, subspaceFormsOf } from '../shared/bundle-parts.js';
import { shareFloats } from '../shared/compute.js';
import { PatchlineError } from '../shared/errors.js';
import { featureNames } from '../shared/kernels/readable-features.js';

import { featureChannels } from '../shared/networks.js';
import type { ObjectStore } from '../shared/store/object-store.js';
import type { DefectSamples } from './defect-samples.js';
import { orderedMap } from './ordered-map.js';
import type { Projections } from './projector.js';

/** A bundle that is to grow, as numbers that stand for its images. N images, P patches, d dimensions, M bank rows. */
export interface Base {
  bundle: Bundle;
  /** As they are: old and new patch vectors must compare. */
  projections: Projections;
  /** (M, d), and (M) image · P + patch of each */
  bank: { rows: Float32Array; sources: Int32Array };
  /** (N, P) */
  heldOutDistances: Float32Array;
  subspace?: BaseSubspace;
  samples: DefectSamples;
  /** JPEG of each image. */
  pictures: Uint8Array[];
}

/** The subspace of good images. K = P·d numbers of an image, r directions. */
export interface BaseSubspace {
  /** That it was made from, and their mean squared distance from their mean. */
  images: number;
  variance: number;
  matrix: Float32Array;
  /** (P, d) */
  offset: Float32Array;
  /** (r, K) */
  components: Float32Array;
  /** (r) */
  shrinkage: Float32Array;
  /** (P, d) and (P, d, d) of the residuals */
  means: Float32Array;
  whitening: Float32Array;
  /** (N, P) */
  heldOut: Float32Array;
}

/** Throws BUNDLE_NOT_FOUND, BUNDLE_DAMAGED, BUNDLE_NETWORK_MISMATCH, BUNDLE_CANNOT_GROW. */
export async function loadBase(store: ObjectStore, product: string, version: string): Promise<Base> {
  const bundle = await readBundle(store, product, version);
  assertNetwork(bundle);
  const samples = await loadSamples(store, bundle);
  const parts = await readParts(store, bundle.parts, formsOf(bundle));
  const floats = (name: keyof typeof parts) => parts[name].data as Float32Array;
  const subspace = bundle.subspace && (await loadSubspace(store, bundle, bundle.subspace));
  const images = Array.from({ length: bundle.images }, (_, image) => image);
  const pictures: Uint8Array[] = [];
  const read = (image: number) => store.get(trainingPictureKey(bundle, image));
  for await (const picture of orderedMap(images, concurrentReads, read)) pictures.push(picture);
  return {
    bundle,
    projections: {
      neighbourhood: bundle.neighbourhood,
      projection: { matrix: floats('projection-matrix'), bias: floats('projection-bias') },
      subspaceProjection: subspace && { matrix: subspace.matrix, bias: new Float32Array(bundle.subspace!.dims) },
    },
    bank: { rows: floats('bank'), sources: parts.sources.data as Int32Array },
    heldOutDistances: floats('held-out-distances'),
    subspace,
    samples,
    pictures,
  };
}

const concurrentReads = 16;

async function loadSamples(store: ObjectStore, bundle: Bundle): Promise<DefectSamples> {
  const { product, version, images, classifier, sampleParts } = bundle;
  if (!sampleParts) {
    throw new PatchlineError(
      'BUNDLE_CANNOT_GROW',
      `Expected a bundle that keeps what adding images needs but ${version} of product ${product} is of an earlier release: fit it anew`,
    );
  }
  const count = images + classifier.count;
  const forms: Record<SamplePartName, Form> = {
    'sample-embeddings': ['float32', count, featureChannels],
    'sample-features': ['float64', count, featureNames.length],
    'sample-groups': ['int32', count],
  };
  const parts = await readParts(store, sampleParts, forms);
  return {
    embeddings: shareFloats(parts['sample-embeddings'].data as Float32Array),
    features: parts['sample-features'].data as Float64Array,
    labels: Uint8Array.from({ length: count }, (_, sample) => Number(sample >= images)),
    groups: parts['sample-groups'].data as Int32Array,
  };
}

async function loadSubspace(store: ObjectStore, bundle: Bundle, subspace: Subspace): Promise<BaseSubspace> {
  const parts = await readParts(store, subspace.parts, subspaceFormsOf(bundle, subspace));
  const floats = (name: keyof typeof parts) => parts[name].data as Float32Array;
  const steps = parts['subspace-components'].data as Int8Array;
  const scales = floats('subspace-scales');
  const K = steps.length / scales.length;
  return {
    images: subspace.images,
    variance: subspace.variance!,
    matrix: floats('subspace-matrix'),
    offset: floats('subspace-offset'),
    components: Float32Array.from(steps, (step, index) => step * scales[Math.floor(index / K)]!),
    shrinkage: floats('subspace-shrinkage'),
    means: floats('residual-means'),
    whitening: floats('residual-whitening'),
    heldOut: floats('held-out-residuals'),
  };
}
