import { gaussianBlurGrid } from '../shared/kernels/anomaly-map.js';
import type { PositionStatistics } from '../shared/patchcore/image-score.js';
import type { Size } from '../shared/patchcore/patch-vectors.js';

const blurSigma = 0.5;
/** Weight, in images, of the mean over all positions: few images say little about a single position. */
const priorImages = 10;
const smallestScale = 1e-6;

/**
 * What is usual at each position, of N images with P = h·w patches:
 * m_p = (N blur(mean_p) + 10 mean) / (N + 10); v_p likewise of the population variances; e_p = max(1e-6, √v_p + 0.25 mean √v).
 *
 * @param heldOut (N, P) distances of each image by a model that has not seen it
 */
export function positionStatistics(heldOut: Float32Array, grid: Size): PositionStatistics {
  const patches = grid.height * grid.width;
  const images = heldOut.length / patches;
  const { means, variances, mean, variance } = momentsOf(heldOut, patches);
  const shrunk = (values: Float32Array, overall: number) =>
    Float64Array.from(
      gaussianBlurGrid(values, grid.height, grid.width, blurSigma),
      (value) => (images * value + priorImages * overall) / (images + priorImages),
    );
  const deviations = shrunk(variances, variance).map(Math.sqrt);
  const meanDeviation = deviations.reduce((sum, value) => sum + value, 0) / patches;
  return {
    means: Float32Array.from(shrunk(means, mean)),
    scales: Float32Array.from(deviations, (value) => Math.max(smallestScale, value + 0.25 * meanDeviation)),
  };
}

/** Mean and population variance at each position and over everything, in two passes. */
function momentsOf(heldOut: Float32Array, patches: number) {
  const images = heldOut.length / patches;
  const sums = new Float64Array(patches);
  for (let index = 0; index < heldOut.length; index++) sums[index % patches]! += heldOut[index]!;
  const mean = sums.reduce((total, sum) => total + sum, 0) / heldOut.length;
  const squares = new Float64Array(patches);
  let overall = 0;
  for (let index = 0; index < heldOut.length; index++) {
    const patch = index % patches;
    squares[patch]! += (heldOut[index]! - sums[patch]! / images) ** 2;
    overall += (heldOut[index]! - mean) ** 2;
  }
  return {
    means: Float32Array.from(sums, (sum) => sum / images),
    variances: Float32Array.from(squares, (square) => square / images),
    mean,
    variance: overall / heldOut.length,
  };
}
