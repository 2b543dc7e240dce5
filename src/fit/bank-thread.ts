import { Tensor } from 'onnxruntime-node';
import { inThread } from '../shared/compute.js';
import { createRandom, randomProjection } from '../shared/kernels/random.js';
import { createGraphBuilder } from '../shared/onnx/graph-builder.js';
import { writeModel } from '../shared/onnx/model.js';
import { createSession } from '../shared/onnx/session.js';
import { type Bank, composeSearchGraph } from '../shared/patchcore/search-graph.js';
import { selectCoreset } from './coreset.js';
import { snapToGrid } from './grid-distances.js';
import { spacingOf } from './spacing.js';

/** Builds a memory bank from some training images and measures others against it. N images, P patches, d dimensions. */
export interface BankInput {
  /** (N, P, d) in shared memory */
  projected: Float32Array;
  patches: number;
  dims: number;
  /** Images whose patches the bank is chosen from. */
  images: number[];
  /** Images to measure, (P, d) each in shared memory. */
  measured: Float32Array[];
  /** Rows wanted. */
  rows: number;
  seed: number;
}

export interface BankOutput {
  /** (M, d) */
  rows: Float32Array;
  /** (M) */
  spacing: Float32Array;
  /** (M) image · P + patch of each row */
  sources: Int32Array;
  /** (measured images, P) */
  distances: Float32Array;
}

/** Rows are chosen in a random projection to so many dimensions: the same quality as in all of them, at less cost. */
const selectionDims = 64;
const startRows = 10;

export default inThread<BankInput, BankOutput>(
  async (input) => {
    const { projected, dims } = input;
    const sources = await selectSources(input);
    const rows = new Float32Array(sources.length * dims);
    sources.forEach((source, row) => {
      rows.set(projected.subarray(source * dims, (source + 1) * dims), row * dims);
    });
    const spacing = await spacingOf(rows, dims, input.images.length * input.patches);
    const distances = await measure(input, { rows, spacing, dims });
    return { rows, spacing, sources, distances };
  },
  ({ rows, spacing, sources, distances }) => [rows.buffer, spacing.buffer, sources.buffer, distances.buffer],
);

async function selectSources({ projected, patches, dims, images, rows, seed }: BankInput): Promise<Int32Array> {
  const sourceOf = (candidate: number) => images[Math.floor(candidate / patches)]! * patches + (candidate % patches);
  const count = images.length * patches;
  if (rows >= count) return Int32Array.from({ length: count }, (_, candidate) => sourceOf(candidate));
  const random = createRandom(seed);
  const projection = randomProjection(dims, selectionDims, random);
  const points = new Float32Array(count * selectionDims);
  const session = await createSession(composeProjection(projection, dims));
  for (const [index, image] of images.entries()) {
    const vectors = projected.slice(image * patches * dims, (image + 1) * patches * dims);
    const { points: ofImage } = await session.run({ vectors: new Tensor('float32', vectors, [patches, dims]) });
    points.set(ofImage!.data as Float32Array, index * patches * selectionDims);
  }
  await session.release();
  snapToGrid(points, selectionDims);
  const starts = random.permutation(count).slice(0, startRows);
  const chosen = await selectCoreset(points, selectionDims, rows, { rows: [...starts] });
  return chosen.map(sourceOf);
}

function composeProjection(projection: Float32Array, dims: number): Uint8Array {
  const graph = createGraphBuilder();
  const vectors = graph.input('vectors', 'float32', ['patches', dims]);
  const matrix = graph.constant(projection, [dims, selectionDims]);
  graph.output('points', graph.add('MatMul', [vectors, matrix]));
  return writeModel(graph.build());
}

async function measure({ patches, measured }: BankInput, bank: Bank): Promise<Float32Array> {
  const distances = new Float32Array(measured.length * patches);
  if (measured.length === 0) return distances;
  const session = await createSession(writeModel(composeSearchGraph(patches, bank)));
  for (const [index, vectors] of measured.entries()) {
    const copy = vectors.slice(); // onnxruntime refuses shared memory
    const results = await session.run({ projected: new Tensor('float32', copy, [patches, bank.dims]) });
    distances.set(results.distances!.data as Float32Array, index * patches);
  }
  await session.release();
  return distances;
}
