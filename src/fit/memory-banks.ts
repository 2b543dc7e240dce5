import { type Compute, threadTask } from '../shared/compute.js';
import { createRandom } from '../shared/kernels/random.js';
import type { BankInput, BankOutput } from './bank-thread.js';

const bankTask = threadTask<BankInput, BankOutput>(new URL('./bank-thread.js', import.meta.url));

/** The fold in which each of N images is held out: a seeded permutation, dealt out in turn. */
export function foldsOf(images: number, folds: number, seed: number): Int32Array {
  const foldOf = new Int32Array(images);
  createRandom(seed)
    .permutation(images)
    .forEach((image, position) => {
      foldOf[image] = position % folds;
    });
  return foldOf;
}

/** An image that no bank is chosen from is measured by the bank of all training images if this is its fold. */
export const noFold = -1;

/** Projected patch vectors: those of the N training images, then those of other images to be measured, S in all. */
export interface ProjectedPatches {
  /** (S, P, d) in shared memory */
  projected: Float32Array;
  /** N */
  images: number;
  patches: number;
  dims: number;
  /** (S): the bank that leaves out a fold measures the images of that fold. */
  foldOf: ArrayLike<number>;
}

export interface BankOptions {
  /** Rows wanted in each bank. */
  rows: number;
  folds: number;
  seed: number;
  compute: Compute;
  onBuilt(): void;
}

export interface MemoryBanks {
  /** Of all training images. */
  bank: Omit<BankOutput, 'distances'>;
  /** (S, P): each image's distances to a bank that has not seen it. */
  distances: Float32Array;
}

/** The memory bank, and one more for each fold of the images to measure that fold with; each is a task of its own. */
export async function buildBanks(
  { images, foldOf, ...data }: ProjectedPatches,
  { rows, folds, seed, compute, onBuilt }: BankOptions,
): Promise<MemoryBanks> {
  const measuredIn = (fold: number) => [...Array(foldOf.length).keys()].filter((image) => foldOf[image] === fold);
  const build = async (fold: number) => {
    const chosenFrom = [...Array(images).keys()].filter((image) => foldOf[image] !== fold);
    const output = await compute.run(bankTask, { ...data, images: chosenFrom, measured: measuredIn(fold), rows, seed });
    onBuilt();
    return output;
  };
  const [whole, ...ofFolds] = await Promise.all([noFold, ...Array(folds).keys()].map(build));
  const { patches } = data;
  const distances = new Float32Array(foldOf.length * patches);
  for (const [fold, output] of [[noFold, whole!] as const, ...ofFolds.entries()]) {
    measuredIn(fold).forEach((image, index) => {
      distances.set(output.distances.subarray(index * patches, (index + 1) * patches), image * patches);
    });
  }
  const { distances: _, ...bank } = whole!;
  return { bank, distances };
}
