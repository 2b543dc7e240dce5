import { type Compute, threadTask } from '../shared/compute.js';
import { createRandom } from '../shared/kernels/random.js';
import type { BankInput, BankOutput } from './bank-thread.js';

const bankTask = threadTask<BankInput, BankOutput>(new URL('./bank-thread.js', import.meta.url));

/** Projected patch vectors of the training images. */
export interface ProjectedPatches {
  /** (N, P, d) in shared memory */
  projected: Float32Array;
  images: number;
  patches: number;
  dims: number;
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
  /** Of all images. */
  bank: Omit<BankOutput, 'heldOutDistances'>;
  /** (N, P): each image's distances to the bank of a fold that has not seen it. */
  heldOutDistances: Float32Array;
}

/** The memory bank, and one more for each fold of the images to measure that fold with; each is a task of its own. */
export async function buildBanks(
  { images, ...data }: ProjectedPatches,
  { rows, folds, seed, compute, onBuilt }: BankOptions,
): Promise<MemoryBanks> {
  const order = [...createRandom(seed).permutation(images)];
  const foldImages = Array.from({ length: folds }, (_, fold) =>
    order.filter((_, position) => position % folds === fold),
  );
  const build = async (heldOut: number[]) => {
    const isHeldOut = new Set(heldOut);
    const others = [...order.keys()].filter((image) => !isHeldOut.has(image));
    const output = await compute.run(bankTask, { ...data, images: others, heldOut, rows, seed });
    onBuilt();
    return output;
  };
  const [bank, ...ofFolds] = await Promise.all([build([]), ...foldImages.map(build)]);
  const { patches } = data;
  const heldOutDistances = new Float32Array(images * patches);
  ofFolds.forEach((output, fold) => {
    foldImages[fold]!.forEach((image, index) => {
      heldOutDistances.set(output.heldOutDistances.subarray(index * patches, (index + 1) * patches), image * patches);
    });
  });
  return { bank, heldOutDistances };
}
