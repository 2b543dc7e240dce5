import { CholeskyDecomposition, Matrix } from 'ml-matrix';
import { type InferenceSession, Tensor } from 'onnxruntime-node';
import { inThread } from '../shared/compute.js';
import { invertLower, solveLower } from '../shared/kernels/lower-triangular.js';
import { createGraphBuilder } from '../shared/onnx/graph-builder.js';
import { writeModel } from '../shared/onnx/model.js';
import { createSession } from '../shared/onnx/session.js';
import { pooledImages, priorImages, type ResidualMoments, ridge, smallestVariance } from './residual-moments.js';

/** How residuals of good images vary at each position of the part. N images, P patches, d dimensions. */
export interface ResidualInput {
  /** (N, P, d) in shared memory: residuals of images by a subspace that has not seen them */
  residuals: Float32Array;
  patches: number;
  dims: number;
  /** Numbers of the images that are learned from. */
  learned: Int32Array;
  /** Numbers of the images whose distances are wanted; without any, the statistics themselves are. */
  measured: Int32Array;
  /** (N, P) in shared memory: where the distances go */
  distances: Float32Array;
  /** Of images that are learned from as well. */
  earlier?: ResidualMoments;
}

export interface ResidualStatistics {
  /** (P, d) μ */
  means: Float32Array;
  /** (P, d, d) transposed inverses of the Cholesky factors; empty where images were measured */
  whitening: Float32Array;
}

/**
 * At each position μ_p = (Σρ + 10 mean ρ) / (N + 10), S_p = Σ (ρ - μ_p)(ρ - μ_p)ᵀ, C0 = Σ_p S_p / (N P),
 * C_p = (S_p + 100 C0) / (N + 100) + 0.02 mean(diag C0) I and Q_p = |L_p⁻¹ (ρ_p - μ_p)| with C_p = L_p L_pᵀ: the Mahalanobis
 * distance with a covariance for each position, as in PaDiM (arXiv:2011.08785), shrunk to the pooled one.
 */
export default inThread<ResidualInput, ResidualStatistics>(
  async (input) => {
    const { patches: P, dims: d, measured } = input;
    const images = imagesOf(input);
    const means = positionMeans(input);
    const { scatter, pooled } = await scatterOf(input, means);
    const whitening = new Float32Array(measured.length > 0 ? 0 : P * d * d);
    for (let p = 0; p < P; p++) {
      const L = factorOf(scatter.subarray(p * d * d, (p + 1) * d * d), pooled, images, d);
      if (measured.length > 0) measure(input, means, L, p);
      else setTransposed(whitening, invertLower(L, d), d, p * d * d);
    }
    return { means, whitening };
  },
  ({ means, whitening }) => [means.buffer, whitening.buffer],
);

const imagesOf = ({ learned, earlier }: ResidualInput): number => learned.length + (earlier?.images ?? 0);

/** μ (P, d) */
function positionMeans(input: ResidualInput): Float32Array {
  const { residuals, patches, dims, learned, earlier } = input;
  const K = patches * dims;
  const images = imagesOf(input);
  const sums = new Float64Array(K);
  if (earlier) for (let k = 0; k < K; k++) sums[k] = earlier.images * earlier.means[k]!;
  for (const n of learned) for (let k = 0; k < K; k++) sums[k]! += residuals[n * K + k]!;
  const overall = new Float64Array(dims);
  for (let k = 0; k < K; k++) overall[k % dims]! += sums[k]! / (images * patches);
  return Float32Array.from(sums, (sum, k) => (sum + priorImages * overall[k % dims]!) / (images + priorImages));
}

/** S (P, d, d), and C0 (d, d). */
async function scatterOf(input: ResidualInput, means: Float32Array) {
  const { residuals, patches, dims, learned, earlier } = input;
  const images = imagesOf(input);
  const session = await createSession(composeScatterGraph(dims));
  const scatter = new Float32Array(patches * dims * dims);
  const pooled = new Float64Array(dims * dims);
  for (let p = 0; p < patches; p++) {
    const ofPosition = await scatterAt(session, residuals, p, means, learned, dims);
    if (earlier) addEarlier(ofPosition, earlier, means, p, dims);
    scatter.set(ofPosition, p * dims * dims);
    for (let i = 0; i < pooled.length; i++) pooled[i]! += ofPosition[i]! / (images * patches);
  }
  await session.release();
  return { scatter, pooled };
}

/** Adds the scatter of the earlier images about the means to that of others. */
function addEarlier(target: Float32Array, earlier: ResidualMoments, means: Float32Array, p: number, d: number): void {
  const shift = (i: number) => earlier.means[p * d + i]! - means[p * d + i]!;
  for (let i = 0; i < d; i++) {
    for (let j = 0; j < d; j++) {
      target[i * d + j]! += earlier.scatter[(p * d + i) * d + j]! + earlier.images * shift(i) * shift(j);
    }
  }
}

async function scatterAt(
  session: InferenceSession,
  residuals: Float32Array,
  p: number,
  means: Float32Array,
  learned: Int32Array,
  d: number,
): Promise<Float32Array> {
  const centred = new Float32Array(learned.length * d);
  for (const [row, n] of learned.entries()) {
    for (let i = 0; i < d; i++) centred[row * d + i] = residuals[n * means.length + p * d + i]! - means[p * d + i]!;
  }
  const results = await session.run({ centred: new Tensor('float32', centred, [learned.length, d]) });
  return results.scatter!.data as Float32Array;
}

function composeScatterGraph(dims: number): Uint8Array {
  const graph = createGraphBuilder();
  const centred = graph.input('centred', 'float32', ['images', dims]);
  graph.output('scatter', graph.add('Gemm', [centred, centred], { transA: 1 }));
  return writeModel(graph.build());
}

/** L (d, d) of C_p. */
function factorOf(scatter: Float32Array, pooled: Float64Array, images: number, d: number): Float64Array {
  let variance = 0;
  for (let i = 0; i < d; i++) variance += pooled[i * d + i]! / d;
  const covariance = new Matrix(d, d);
  for (let i = 0; i < d; i++) {
    for (let j = 0; j < d; j++) {
      // Of the two halves of the scatter, which rounding may tell apart, only one is read.
      const at = i > j ? i * d + j : j * d + i;
      covariance.set(i, j, (scatter[at]! + pooledImages * pooled[at]!) / (images + pooledImages));
    }
    covariance.set(i, i, covariance.get(i, i) + Math.max(ridge * variance, smallestVariance));
  }
  return Float64Array.from(new CholeskyDecomposition(covariance).lowerTriangularMatrix.to1DArray());
}

/** Q of the measured images at one position. */
function measure(
  { residuals, dims: d, patches, measured, distances }: ResidualInput,
  means: Float32Array,
  L: Float64Array,
  p: number,
) {
  const deviation = new Float64Array(d);
  for (const n of measured) {
    for (let i = 0; i < d; i++) deviation[i] = residuals[(n * patches + p) * d + i]! - means[p * d + i]!;
    let square = 0;
    for (const value of solveLower(L, deviation, d)) square += value * value;
    distances[n * patches + p] = Math.sqrt(square);
  }
}

function setTransposed(target: Float32Array, matrix: Float64Array, d: number, offset: number): void {
  for (let i = 0; i < d; i++) for (let j = 0; j < d; j++) target[offset + j * d + i] = matrix[i * d + j]!;
}
