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

/** The fold of an image that is to be measured by the bank of all training images. */
export const noFold = -1;

/** The rows of a bank that grows. */
export interface EarlierBank {
  /** B: rows that follow the training images in `projected` */
  rows: number;
  /** Patches that they were chosen from. */
  patches: number;
}

/** Projected patch vectors of N training images and of others that are to be measured too. */
export interface ProjectedPatches {
  /** (N·P, d) in shared memory, or (N·P + B, d) */
  projected: Float32Array;
  /** Every bank is chosen from these rows as well. */
  earlier?: EarlierBank;
  /** (P, d) of each, in shared memory */
  others: readonly Float32Array[];
  patches: number;
  dims: number;
  /** (N + others): the bank that leaves out a fold measures the images of that fold. */
  foldOf: ArrayLike<number>;
}

export interface BankOptions {
  /** Rows wanted in a bank that is chosen from so many patches. */
  bankRows: (patches: number) => number;
  /** Whether distances are relative to how far apart the bank's rows lie. */
  spacing: boolean;
  /** Whether the score `reweighted` is wanted. */
  reweighted: boolean;
  folds: number;
  seed: number;
  compute: Compute;
  /** Told now and then how many more rows are chosen: in the end `rows` for each bank. */
  onChosen(rows: number): void;
}

/** Rows of all banks together that `buildBanks` is to choose. */
export function rowsOfBanks(
  bankRows: BankOptions['bankRows'],
  foldOf: Int32Array,
  { folds, patches, earlier }: { folds: number; patches: number; earlier?: EarlierBank },
): number {
  const rowsWithout = (fold: number) =>
    bankRows(foldOf.filter((of) => of !== fold).length * patches + (earlier?.patches ?? 0));
  return [noFold, ...Array(folds).keys()].reduce((sum, fold) => sum + rowsWithout(fold), 0);
}

/** How often progress is told. */
const progressIntervalMs = 200;

export interface MemoryBanks {
  /** Of all training images. */
  bank: Omit<BankOutput, 'distances' | 'reweightedScores'>;
  /** (N + others, P): each image's distances to a bank that has not seen it. */
  distances: Float32Array;
  /** (N + others) likewise; 0 where they are not wanted */
  reweightedScores: Float64Array;
}

/** The memory bank, and one more for each fold of the images to measure that fold with; each is a task of its own. */
export async function buildBanks(
  { projected, earlier = { rows: 0, patches: 0 }, others, patches, dims, foldOf }: ProjectedPatches,
  { bankRows, spacing, reweighted, folds, seed, compute, onChosen }: BankOptions,
): Promise<MemoryBanks> {
  const length = patches * dims;
  const images = (projected.length / dims - earlier.rows) / patches;
  const vectorsOf = (image: number) =>
    image < images ? projected.subarray(image * length, (image + 1) * length) : others[image - images]!;
  const measuredIn = (fold: number) => [...Array(foldOf.length).keys()].filter((image) => foldOf[image] === fold);
  const taken = new Int32Array(new SharedArrayBuffer((folds + 1) * Int32Array.BYTES_PER_ELEMENT));
  const build = (fold: number, bank: number) => {
    const chosenFrom = [...Array(images).keys()].filter((image) => fold === noFold || foldOf[image] !== fold);
    const measured = measuredIn(fold).map(vectorsOf);
    const rows = bankRows(chosenFrom.length * patches + earlier.patches);
    const chosen = {
      projected,
      earlier,
      patches,
      dims,
      images: chosenFrom,
      rows,
      seed,
      taken: taken.subarray(bank, bank + 1),
    };
    return compute.run(bankTask, { ...chosen, measured, spacing, reweighted });
  };
  const banks = [noFold, ...Array(folds).keys()].map(build);
  const [whole, ...ofFolds] = await watching(taken, onChosen, Promise.all(banks));
  const distances = new Float32Array(foldOf.length * patches);
  const reweightedScores = new Float64Array(foldOf.length);
  for (const [fold, output] of [[noFold, whole!] as const, ...ofFolds.entries()]) {
    measuredIn(fold).forEach((image, index) => {
      distances.set(output.distances.subarray(index * patches, (index + 1) * patches), image * patches);
      reweightedScores[image] = output.reweightedScores[index]!;
    });
  }
  const { distances: _, reweightedScores: __, ...bank } = whole!;
  return { bank, distances, reweightedScores };
}

/** Tells by how much the sum of some counts in shared memory grows until the work is done. */
async function watching<T>(counts: Int32Array, onGrown: (by: number) => void, work: Promise<T>): Promise<T> {
  let told = 0;
  const tell = () => {
    const sum = counts.reduce((total, count) => total + count, 0);
    if (sum > told) onGrown(sum - told);
    told = sum;
  };
  const timer = setInterval(tell, progressIntervalMs);
  try {
    const result = await work;
    tell();
    return result;
  } finally {
    clearInterval(timer);
  }
}
