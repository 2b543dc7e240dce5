import type { Bundle, Part, PartName, Subspace, SubspacePartName } from './bundle.js';
import { messageOf, PatchlineError } from './errors.js';
import { featureNames } from './kernels/readable-features.js';
import { sha256 } from './keys.js';
import { featureChannels, patchVectorLength } from './networks.js';
import { type Dtype, expectArray, type NpyArray, readNpy } from './npy.js';
import { subspaceVectorLength } from './patchcore/residual-graph.js';
import type { ObjectStore } from './store/object-store.js';

export type Form = [dtype: Dtype, ...shape: number[]];

/** Reads parts of a bundle, each checked against its sha256 and its form. Error: BUNDLE_DAMAGED. */
export async function readParts<Name extends string>(
  store: ObjectStore,
  parts: Record<Name, Part>,
  forms: Record<Name, Form>,
): Promise<Record<Name, NpyArray>> {
  const names = Object.keys(forms) as Name[];
  const entries = names.map(async (name) => [name, await readPart(store, name, parts[name], forms[name])] as const);
  return Object.fromEntries(await Promise.all(entries)) as Record<Name, NpyArray>;
}

/** Of the parts that every bundle has. */
export function formsOf({ images, patches, rows, dims, risk }: Bundle): Record<PartName, Form> {
  const positions = patches / images;
  return {
    'projection-matrix': ['float32', patchVectorLength, dims],
    'projection-bias': ['float32', dims],
    bank: ['float32', rows, dims],
    spacing: ['float32', rows],
    sources: ['int32', rows],
    'position-means': ['float32', positions],
    'position-scales': ['float32', positions],
    'held-out-distances': ['float32', images, positions],
    'classifier-weights': ['float32', featureChannels],
    'risk-background': ['float64', risk.background, featureNames.length],
  };
}

/** Of the parts of the second term. */
export function subspaceFormsOf({ images, patches }: Bundle, { dims, rank }: Subspace): Record<SubspacePartName, Form> {
  const positions = patches / images;
  return {
    'subspace-matrix': ['float32', subspaceVectorLength, dims],
    'subspace-offset': ['float32', positions, dims],
    'subspace-components': ['int8', rank, positions * dims],
    'subspace-scales': ['float32', rank],
    'subspace-shrinkage': ['float32', rank],
    'residual-means': ['float32', positions, dims],
    'residual-whitening': ['float32', positions, dims, dims],
    'residual-position-means': ['float32', positions],
    'residual-position-scales': ['float32', positions],
    'held-out-residuals': ['float32', images, positions],
  };
}

async function readPart(store: ObjectStore, name: string, part: Part, [dtype, ...shape]: Form): Promise<NpyArray> {
  const bytes = await readPartBytes(store, name, part);
  let array: NpyArray;
  try {
    array = expectArray(readNpy(bytes, name), name, dtype, shape);
  } catch (error) {
    throw damaged(name, part.key, messageOf(error), error);
  }
  const { data } = array;
  if ((data instanceof Float32Array || data instanceof Float64Array) && !data.every(Number.isFinite)) {
    throw damaged(name, part.key, 'some of its values are not finite');
  }
  return array;
}

/** The bytes of a part. Throws BUNDLE_DAMAGED where it is missing or does not match its sha256. */
export async function readPartBytes(store: ObjectStore, name: string, { key, sha256: expected }: Part) {
  const bytes = await store.get(key).catch((error: unknown) => {
    const isMissing = error instanceof PatchlineError && error.code === 'OBJECT_NOT_FOUND';
    throw isMissing ? damaged(name, key, 'there is no such object', error) : error;
  });
  const received = sha256(bytes);
  if (received !== expected) throw damaged(name, key, `its sha256 is ${received}, not ${expected}`);
  return bytes;
}

const damaged = (name: string, key: string, fault: string, cause?: unknown): PatchlineError =>
  new PatchlineError('BUNDLE_DAMAGED', `Expected the part ${name} of a bundle in ${key} but ${fault}`, { cause });
