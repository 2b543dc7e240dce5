import { resizeBilinear, sourcePosition } from './resize.js';
import { expectShape } from './shape.js';

// A grid of patch values is (h, w), a map (H, W).

/** Turns a grid (h, w) into a map (H, W). */
export type MapUpsampler = (grid: Float32Array) => Float32Array<ArrayBuffer>;

/**
 * The anomaly map of a grid of patch values: bilinear to (H, W), then a Gaussian blur; the map of PatchCore's authors
 * (patchcore-inspection, `RescaleSegmentor`).
 *
 * Both steps are linear and separable, so that the map is R · grid · Cᵀ with R (H, h) and C (W, w) built once. A blurred
 * patch reaches only so far: of each row of C just the columns that are not 0 are walked through.
 *
 * The returned function throws SHAPE_MISMATCH.
 */
export function createMapUpsampler(h: number, w: number, H: number, W: number, sigma: number): MapUpsampler {
  const R = multiply(blurMatrix(H, sigma), bilinearMatrix(h, H), H, H, h);
  const C = multiply(blurMatrix(W, sigma), bilinearMatrix(w, W), W, W, w);
  const [begins, ends] = columnsInUse(C, W, w);
  const row = new Float64Array(w);

  return (grid) => {
    expectShape('grid', grid, { h, w });
    const map = new Float32Array(H * W);
    for (let y = 0; y < H; y++) {
      // row = R[y] · grid
      row.fill(0);
      for (let i = 0; i < h; i++) {
        const weight = R[y * h + i]!;
        if (weight === 0) continue;
        for (let j = 0; j < w; j++) row[j]! += weight * grid[i * w + j]!;
      }
      // map[y] = row · Cᵀ
      for (let x = 0; x < W; x++) {
        let sum = 0;
        for (let j = begins[x]!; j < ends[x]!; j++) sum += row[j]! * C[x * w + j]!;
        map[y * W + x] = sum;
      }
    }
    return map;
  };
}

/** The same map step by step: the plain reference of `createMapUpsampler`. */
export function upsampleMap(grid: Float32Array, h: number, w: number, H: number, W: number, sigma: number) {
  return gaussianBlurGrid(resizeBilinear(grid, h, w, H, W), H, W, sigma);
}

/**
 * Gaussian blur; beyond the border the border sample is repeated and then the grid mirrored (d c b a | a b c d: `reflect` in
 * SciPy). Weights reach to 4 sigma and sum to 1.
 *
 * @param grid (h, w)
 * @throws SHAPE_MISMATCH
 */
export function gaussianBlurGrid(grid: Float32Array, h: number, w: number, sigma: number): Float32Array<ArrayBuffer> {
  expectShape('grid', grid, { h, w });
  const weights = gaussianWeights(sigma);
  const radius = (weights.length - 1) / 2;
  const rowsBlurred = new Float64Array(h * w);
  const blurred = new Float32Array(h * w);
  for (let y = 0; y < h; y++) {
    for (let x = 0; x < w; x++) {
      let sum = 0;
      for (let t = -radius; t <= radius; t++) sum += weights[t + radius]! * grid[y * w + mirrored(x + t, w)]!;
      rowsBlurred[y * w + x] = sum;
    }
  }
  for (let y = 0; y < h; y++) {
    for (let x = 0; x < w; x++) {
      let sum = 0;
      for (let t = -radius; t <= radius; t++) sum += weights[t + radius]! * rowsBlurred[mirrored(y + t, h) * w + x]!;
      blurred[y * w + x] = sum;
    }
  }
  return blurred;
}

/** Bilinear interpolation of n samples to N (half-pixel centres, border samples repeated) as a matrix (N, n). */
export function bilinearMatrix(n: number, N: number): Float64Array {
  const matrix = new Float64Array(N * n);
  for (let i = 0; i < N; i++) {
    const { lower, upper, fraction } = sourcePosition(i, n, N);
    matrix[i * n + lower]! += 1 - fraction;
    matrix[i * n + upper]! += fraction;
  }
  return matrix;
}

/** Gaussian blur of n samples as a matrix (n, n). */
function blurMatrix(n: number, sigma: number): Float64Array {
  const weights = gaussianWeights(sigma);
  const radius = (weights.length - 1) / 2;
  const matrix = new Float64Array(n * n);
  for (let i = 0; i < n; i++) {
    for (let t = -radius; t <= radius; t++) matrix[i * n + mirrored(i + t, n)]! += weights[t + radius]!;
  }
  return matrix;
}

function gaussianWeights(sigma: number): Float64Array {
  const radius = Math.floor(4 * sigma + 0.5);
  const weights = Float64Array.from({ length: 2 * radius + 1 }, (_, i) =>
    Math.exp(-((i - radius) ** 2) / (2 * sigma ** 2)),
  );
  const sum = weights.reduce((total, weight) => total + weight, 0);
  return weights.map((weight) => weight / sum);
}

/** Where sample i lies in n samples that are mirrored again and again, the border ones repeated. */
function mirrored(i: number, n: number): number {
  const inPeriod = ((i % (2 * n)) + 2 * n) % (2 * n);
  return inPeriod < n ? inPeriod : 2 * n - 1 - inPeriod;
}

/** A (I, J) · B (J, K). */
function multiply(A: Float64Array, B: Float64Array, I: number, J: number, K: number): Float64Array {
  const product = new Float64Array(I * K);
  for (let i = 0; i < I; i++) {
    for (let j = 0; j < J; j++) {
      const factor = A[i * J + j]!;
      if (factor === 0) continue;
      for (let k = 0; k < K; k++) product[i * K + k]! += factor * B[j * K + k]!;
    }
  }
  return product;
}

/** For each row of a matrix (I, J), the first column that is not 0 and the one behind the last. */
function columnsInUse(matrix: Float64Array, I: number, J: number): [Int32Array, Int32Array] {
  const begins = new Int32Array(I);
  const ends = new Int32Array(I);
  for (let i = 0; i < I; i++) {
    const row = matrix.subarray(i * J, (i + 1) * J);
    begins[i] = row.findIndex((value) => value !== 0);
    ends[i] = row.findLastIndex((value) => value !== 0) + 1;
  }
  return [begins, ends];
}
