import { EigenvalueDecomposition, Matrix } from 'ml-matrix';
import { Tensor } from 'onnxruntime-node';
import { createGraphBuilder } from '../shared/onnx/graph-builder.js';
import { writeModel } from '../shared/onnx/model.js';
import { createSession } from '../shared/onnx/session.js';
import { withFixedSign } from './projection.js';

/** The linear model of whole images: their mean and the directions in which good ones differ. K numbers of an image. */
export interface ImageSubspace {
  /** (K) */
  mean: Float32Array;
  /** (r, K) E: directions of length 1 */
  components: Float32Array;
  /** (r) c: how much of each direction is taken away, 0 .. 1 */
  shrinkage: Float32Array;
}

export interface SubspaceSource {
  /** (N, K), in shared memory or not */
  images: Float32Array;
  K: number;
  /** (basis, basis) products of some of the images */
  gram: Float64Array;
  /** Their numbers. */
  basis: Int32Array;
  /** Places in `basis` of the images that the subspace is made from. */
  chosen: Int32Array;
}

const largestRank = 200;
/** Share of the mean variance that a direction needs to be half taken away: weak directions are left to chance. */
const ridge = 0.03;
/** Directions with less than this share of the largest variance are rounding. */
const smallestShare = 1e-9;
const columnsAtOnce = 2048;

/**
 * Principal components of few images of many numbers, by way of their products (Turk and Pentland 1991): with the centred images
 * X and XXᵀ = U diag(e) Uᵀ, E = diag(e^-½) Uᵀ X for the 200 largest e, and c = e / (e + 0.03 mean diag XXᵀ).
 */
export async function fitImageSubspace(source: SubspaceSource): Promise<ImageSubspace> {
  const { images, K, basis, chosen } = source;
  const n = chosen.length;
  const centred = centredProducts(source);
  const { realEigenvalues, eigenvectorMatrix } = new EigenvalueDecomposition(centred, { assumeSymmetric: true });
  const largest = realEigenvalues.at(-1)!; // ascending
  const kept = [...realEigenvalues.keys()]
    .reverse()
    .slice(0, Math.min(largestRank, n - 1))
    .filter((place) => realEigenvalues[place]! > smallestShare * largest);
  // Images that are all alike leave one direction of no length, which takes nothing away.
  const directions = kept.length > 0 ? kept : [n - 1];
  const weights = new Float32Array(directions.length * n);
  for (const [k, place] of directions.entries()) {
    const length = Math.sqrt(realEigenvalues[place]!);
    const vector = withFixedSign(eigenvectorMatrix.getColumn(place));
    if (length > 0)
      weights.set(
        vector.map((value) => value / length),
        k * n,
      ); // prettier
  }
  const penalty = (ridge * centred.trace()) / n;
  const numbers = chosen.map((place) => basis[place]!);
  return {
    mean: meanImage(images, K, numbers),
    components: await combine(weights, images, K, numbers),
    shrinkage: Float32Array.from(directions, (place) => {
      const variance = Math.max(realEigenvalues[place]!, 0);
      return variance > 0 ? variance / (variance + penalty) : 0;
    }),
  };
}

/** (chosen, chosen) products of the images less the mean of those chosen. */
function centredProducts({ gram, basis, chosen }: SubspaceSource): Matrix {
  const n = chosen.length;
  const at = (i: number, j: number) => gram[chosen[i]! * basis.length + chosen[j]!]!;
  const means = Float64Array.from({ length: n }, (_, i) => {
    let sum = 0;
    for (let j = 0; j < n; j++) sum += at(i, j);
    return sum / n;
  });
  const mean = means.reduce((sum, value) => sum + value, 0) / n;
  const centred = new Matrix(n, n);
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < n; j++) centred.set(i, j, at(i, j) - means[i]! - means[j]! + mean);
  }
  return centred;
}

function meanImage(images: Float32Array, K: number, numbers: Int32Array): Float32Array {
  const sums = new Float64Array(K);
  for (const n of numbers) for (let k = 0; k < K; k++) sums[k]! += images[n * K + k]!;
  return Float32Array.from(sums, (sum) => sum / numbers.length);
}

/** weights (r, n) times the chosen images: (r, K). Each row of weights sums to 0, so that their mean need not be subtracted. */
async function combine(weights: Float32Array, images: Float32Array, K: number, numbers: Int32Array) {
  const n = numbers.length;
  const r = weights.length / n;
  const graph = createGraphBuilder();
  const block = graph.input('block', 'float32', [n, 'columns']);
  graph.output('combined', graph.add('MatMul', [graph.constant(weights, [r, n]), block]));
  const session = await createSession(writeModel(graph.build()));
  const result = new Float32Array(r * K);
  for (let from = 0; from < K; from += columnsAtOnce) {
    const columns = Math.min(columnsAtOnce, K - from);
    const values = new Tensor('float32', columnsOf(images, K, numbers, from, columns), [n, columns]);
    const { combined } = await session.run({ block: values });
    const rows = combined!.data as Float32Array;
    for (let k = 0; k < r; k++) result.set(rows.subarray(k * columns, (k + 1) * columns), k * K + from);
  }
  await session.release();
  return result;
}

/** (numbers, columns): some columns of some of the images (N, K). */
export function columnsOf(images: Float32Array, K: number, numbers: Int32Array, from: number, columns: number) {
  const block = new Float32Array(numbers.length * columns);
  for (const [row, n] of numbers.entries())
    block.set(images.subarray(n * K + from, n * K + from + columns), row * columns);
  return block;
}
