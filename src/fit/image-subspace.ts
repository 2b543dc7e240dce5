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
  /** Mean squared distance of the images from their mean. */
  variance: number;
}

/** Images that are not there any more: their mean is 0, and rows stand for their scatter. */
export interface EarlierImages {
  count: number;
  /** Numbers from this one on are not of images but of rows a_k with Σ a_k a_kᵀ = the scatter of the earlier images. */
  firstRow: number;
  /** Mean squared distance from their mean: more than that of the rows, which stand for the largest directions only. */
  variance: number;
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
  /** Where the subspace is made from these as well. */
  earlier?: EarlierImages;
}

const largestRank = 200;
/** Share of the mean variance that a direction needs to be half taken away: weak directions are left to chance. */
export const shrinkageRidge = 0.03;
/** Directions with less than this share of the largest variance are rounding. */
const smallestShare = 1e-9;
const columnsAtOnce = 2048;

/**
 * Principal components of few images of many numbers, by way of their products (Turk and Pentland 1991): with the centred images
 * X and XXᵀ = U diag(e) Uᵀ, E = diag(e^-½) Uᵀ X for the 200 largest e, and c = e / (e + 0.03 mean diag XXᵀ).
 */
export async function fitImageSubspace(source: SubspaceSource): Promise<ImageSubspace> {
  const { images, K, basis, chosen, earlier } = source;
  const numbers = chosen.map((place) => basis[place]!);
  const n = numbers.length;
  const centring = centringOf(numbers, earlier);
  const products = productsOf(source);
  const centred = centre(products, centring);
  const { realEigenvalues, eigenvectorMatrix } = new EigenvalueDecomposition(centred, { assumeSymmetric: true });
  const largest = realEigenvalues.at(-1)!; // ascending
  const kept = [...realEigenvalues.keys()]
    .reverse()
    .slice(0, Math.min(largestRank, centring.count - 1))
    .filter((place) => realEigenvalues[place]! > smallestShare * largest);
  // Images that are all alike leave one direction of no length, which takes nothing away.
  const directions = kept.length > 0 ? kept : [n - 1];
  const weights = new Float32Array(directions.length * n);
  for (const [k, place] of directions.entries()) {
    const length = Math.sqrt(realEigenvalues[place]!);
    const vector = centreVector(withFixedSign(eigenvectorMatrix.getColumn(place)), centring);
    if (length > 0)
      weights.set(
        Float32Array.from(vector, (value) => value / length),
        k * n,
      );
  }
  const variance = (centred.trace() + scatterLeftOut(products, centring, earlier)) / centring.count;
  return {
    mean: meanImage(images, K, numbers, centring),
    components: await combine(weights, images, K, numbers),
    shrinkage: Float32Array.from(directions, (place) => {
      const value = Math.max(realEigenvalues[place]!, 0);
      return value > 0 ? value / (value + shrinkageRidge * variance) : 0;
    }),
    variance,
  };
}

/**
 * How rows are brought to the mean of all images, those that are not there any more included. Rows X become BX with B = I - β u uᵀ,
 * u = 1 / √J at the J rows that are images and 0 at those that stand for earlier ones. With N earlier images, whose mean is 0,
 * and β = 1 - √(N / (N + J)), (BX)ᵀBX is the scatter of all N + J images about their mean; without any, BX = X - mean.
 */
interface Centring {
  /** (n) Which rows are images. */
  isImage: boolean[];
  /** J */
  images: number;
  /** N + J */
  count: number;
  beta: number;
}

function centringOf(numbers: Int32Array, earlier?: EarlierImages): Centring {
  const isImage = Array.from(numbers, (number) => !earlier || number < earlier.firstRow);
  const images = isImage.filter(Boolean).length;
  const count = images + (earlier?.count ?? 0);
  return { isImage, images, count, beta: 1 - Math.sqrt((count - images) / count) };
}

/** XXᵀ of the chosen rows. */
function productsOf({ gram, basis, chosen }: SubspaceSource): Matrix {
  const products = new Matrix(chosen.length, chosen.length);
  for (let i = 0; i < chosen.length; i++) {
    for (let j = 0; j < chosen.length; j++) products.set(i, j, gram[chosen[i]! * basis.length + chosen[j]!]!);
  }
  return products;
}

/** B XXᵀ B */
function centre(products: Matrix, { isImage, images, beta }: Centring): Matrix {
  const n = products.rows;
  const share = isImage.map((is) => (is ? beta : 0));
  const means = new Float64Array(n);
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < n; j++) if (isImage[j]) means[i]! += products.get(i, j);
    means[i]! /= Math.max(images, 1);
  }
  const mean = means.reduce((sum, value, i) => sum + (isImage[i] ? value : 0), 0) / Math.max(images, 1);
  const centred = new Matrix(n, n);
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < n; j++) {
      const [ofI, ofJ] = [share[i]!, share[j]!];
      centred.set(i, j, products.get(i, j) - ofJ * means[i]! - ofI * means[j]! + ofI * ofJ * mean);
    }
  }
  return centred;
}

/** B u */
function centreVector(vector: number[], { isImage, images, beta }: Centring): number[] {
  const sum = vector.reduce((total, value, i) => total + (isImage[i] ? value : 0), 0);
  const shift = (beta * sum) / Math.max(images, 1);
  return vector.map((value, i) => (isImage[i] ? value - shift : value));
}

/** The part of the earlier images' scatter that no row stands for. */
function scatterLeftOut(products: Matrix, { isImage }: Centring, earlier?: EarlierImages): number {
  if (!earlier) return 0;
  const ofRows = isImage.reduce((sum, is, i) => sum + (is ? 0 : products.get(i, i)), 0);
  return Math.max(earlier.count * earlier.variance - ofRows, 0);
}

function meanImage(images: Float32Array, K: number, numbers: Int32Array, { isImage, count }: Centring): Float32Array {
  const sums = new Float64Array(K);
  const summed = numbers.filter((_, row) => isImage[row]);
  for (const n of summed) for (let k = 0; k < K; k++) sums[k]! += images[n * K + k]!;
  return Float32Array.from(sums, (sum) => sum / count);
}

/** weights (r, n) times the chosen rows: (r, K). */
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
