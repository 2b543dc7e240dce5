import { Tensor } from 'onnxruntime-node';
import { inThread } from '../shared/compute.js';
import { writeModel } from '../shared/onnx/model.js';
import { createSession } from '../shared/onnx/session.js';
import { reweightedScoreOf } from '../shared/patchcore/image-score.js';
import { type Bank, composeSearchGraph } from '../shared/patchcore/search-graph.js';
import { chooseBankRows } from './bank-rows.js';
import type { EarlierBank } from './memory-banks.js';
import { spacingOf } from './spacing.js';

/** Builds a memory bank from some training images and measures others against it. N images, P patches, d dimensions. */
export interface BankInput {
  /** (N·P + B, d) in shared memory */
  projected: Float32Array;
  /** The last B of them: rows of an earlier bank, from which this one is chosen as well. */
  earlier: EarlierBank;
  patches: number;
  dims: number;
  /** Images whose patches the bank is chosen from. */
  images: number[];
  /** Images to measure, (P, d) each in shared memory. */
  measured: Float32Array[];
  /** Rows wanted. */
  rows: number;
  /** Whether distances are relative to how far apart the bank's rows lie. */
  spacing: boolean;
  /** Whether the score `reweighted` of the measured images is wanted. */
  reweighted: boolean;
  seed: number;
  /** (1) in shared memory: how many of them are chosen so far. */
  taken: Int32Array;
}

export interface BankOutput {
  /** (M, d) */
  rows: Float32Array;
  /** (M) */
  spacing: Float32Array;
  /** (M) place in `projected` of each row: image · P + patch */
  sources: Int32Array;
  /** (measured images, P) */
  distances: Float32Array;
  /** (measured images), 0 where it is not wanted */
  reweightedScores: Float64Array;
}

/**
 * Patches that a bank is chosen from at once; of more it is chosen in parts. At 224 × 224 these are those of 5,100 images; they
 * take 0.3 GB in each thread.
 */
const largestSet = 1_000_000;

export default inThread<BankInput, BankOutput>(
  async (input) => {
    const { projected, dims } = input;
    const sources = await choose(input);
    const rows = new Float32Array(sources.length * dims);
    sources.forEach((source, row) => {
      rows.set(projected.subarray(source * dims, (source + 1) * dims), row * dims);
    });
    const spacing = input.spacing
      ? await spacingOf(rows, dims, input.images.length * input.patches + input.earlier.patches)
      : new Float32Array(sources.length).fill(1);
    const measured = await measure(input, { rows, spacing, dims });
    Atomics.store(input.taken, 0, input.rows);
    return { rows, spacing, sources, ...measured };
  },
  ({ rows, spacing, sources, distances }) => [rows.buffer, spacing.buffer, sources.buffer, distances.buffer],
);

function choose({ projected, earlier, patches, dims, images, rows, seed, taken }: BankInput): Promise<Int32Array> {
  const ofImages = images.length * patches;
  const places = new Int32Array(ofImages + earlier.rows);
  images.forEach((image, index) => {
    for (let patch = 0; patch < patches; patch++) places[index * patches + patch] = image * patches + patch;
  });
  const firstRow = projected.length / dims - earlier.rows;
  for (let row = 0; row < earlier.rows; row++) places[ofImages + row] = firstRow + row;
  const onProgress = (done: number) => Atomics.store(taken, 0, Math.floor(done * rows));
  return chooseBankRows(projected, places, { dims, rows, seed, largestSet, onProgress });
}

async function measure({ patches, measured, reweighted }: BankInput, bank: Bank) {
  const distances = new Float32Array(measured.length * patches);
  const reweightedScores = new Float64Array(measured.length);
  if (measured.length === 0) return { distances, reweightedScores };
  const session = await createSession(writeModel(composeSearchGraph(patches, bank)));
  for (const [index, vectors] of measured.entries()) {
    const copy = vectors.slice(); // onnxruntime refuses shared memory
    const results = await session.run({ projected: new Tensor('float32', copy, [patches, bank.dims]) });
    const ofImage = results.distances!.data as Float32Array;
    distances.set(ofImage, index * patches);
    if (reweighted) reweightedScores[index] = reweightedScoreOf(ofImage, copy, bank);
  }
  await session.release();
  return { distances, reweightedScores };
}
