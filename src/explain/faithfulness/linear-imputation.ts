import { PatchlineError } from '../../shared/errors.js';
import { createRandom } from '../../shared/kernels/random.js';
import { expectShape } from '../../shared/kernels/shape.js';
import type { ImageAxes } from '../image-axes.js';

// One image of P = H · W pixels and C channels, of which U are removed.

/** Weights of the eight neighbours of a pixel, row by row: 1/6 at its sides, 1/12 at its corners. */
const neighbours = [
  [-1, -1, 1 / 12],
  [-1, 0, 1 / 6],
  [-1, 1, 1 / 12],
  [0, -1, 1 / 6],
  [0, 1, 1 / 6],
  [1, -1, 1 / 12],
  [1, 0, 1 / 6],
  [1, 1, 1 / 12],
] as const;

export interface ImputationNoise {
  /** Added to imputed pixels, so that a network cannot tell them by their smoothness; 0 for none. */
  deviation: number;
  seed: number;
}

/**
 * An image whose removed pixels tell nothing: each becomes the weighted mean of its neighbours inside the image, removed or
 * not, by solving one linear system for each channel. (Noisy linear imputation: Rong et al., arXiv:2202.00449, section 4.2.)
 *
 * @param removed (P), 1 where a pixel is removed; at least one has to stay
 * @returns as the axes say
 * @throws SHAPE_MISMATCH
 */
export function imputeLinearly(
  image: Float32Array,
  { C, H, W, channelStep, positionStep }: Omit<ImageAxes, 'N'>,
  removed: Uint8Array,
  { deviation, seed }: ImputationNoise,
): Float32Array<ArrayBuffer> {
  expectShape('image', image, { C, H, W });
  expectShape('removed', removed, { H, W });
  const system = buildSystem(removed, H, W);
  const { pixels } = system;
  if (pixels.length === removed.length) {
    throw new PatchlineError('SHAPE_MISMATCH', 'Expected at least one pixel that stays but all are removed');
  }
  const random = createRandom(seed);
  const imputed = Float32Array.from(image);
  for (let c = 0; c < C; c++) {
    const valueAt = (p: number) => image[p * positionStep + c * channelStep]!;
    const solution = solve(system, knownSums(system, valueAt, H, W));
    for (const [u, p] of pixels.entries()) {
      imputed[p * positionStep + c * channelStep] = solution[u]! + (deviation && deviation * random.normal());
    }
  }
  return imputed;
}

/** Σ_neighbours weight (x_u - x_neighbour) = 0 for each removed pixel u: symmetric and positive definite. */
interface System {
  /** (U) */
  pixels: Int32Array;
  /** (U, 8): which unknown each neighbour is; U for one that is known or outside. */
  unknowns: Int32Array;
  /** (U): weights of the neighbours inside the image. */
  diagonal: Float64Array;
}

function buildSystem(removed: Uint8Array, H: number, W: number): System {
  const pixels = Int32Array.from(Array.from(removed.keys()).filter((p) => removed[p] === 1));
  const U = pixels.length;
  const numbers = new Int32Array(H * W).fill(U);
  for (const [u, p] of pixels.entries()) numbers[p] = u;
  const unknowns = new Int32Array(U * 8).fill(U);
  const diagonal = new Float64Array(U);
  for (const [u, p] of pixels.entries()) {
    for (const [k, [dy, dx, weight]] of neighbours.entries()) {
      const [y, x] = [Math.floor(p / W) + dy, (p % W) + dx];
      if (y < 0 || y >= H || x < 0 || x >= W) continue;
      diagonal[u]! += weight;
      unknowns[u * 8 + k] = numbers[y * W + x]!;
    }
  }
  return { pixels, unknowns, diagonal };
}

/** Σ weight · value over the neighbours that stay. (U) */
function knownSums({ pixels, unknowns }: System, valueAt: (p: number) => number, H: number, W: number): Float64Array {
  const U = pixels.length;
  return Float64Array.from(pixels, (p, u) => {
    let sum = 0;
    for (const [k, [dy, dx, weight]] of neighbours.entries()) {
      const [y, x] = [Math.floor(p / W) + dy, (p % W) + dx];
      const isKnown = y >= 0 && y < H && x >= 0 && x < W && unknowns[u * 8 + k] === U;
      if (isKnown) sum += weight * valueAt(y * W + x);
    }
    return sum;
  });
}

/** The length of the residual against that of the known sums. */
const tolerance = 1e-6;

/** Conjugate gradients (Hestenes and Stiefel 1952), preconditioned by the diagonal; U steps at most. */
function solve({ pixels, unknowns, diagonal }: System, known: Float64Array): Float64Array {
  const U = pixels.length;
  const solution = new Float64Array(U);
  const residual = Float64Array.from(known);
  const direction = new Float64Array(U + 1); // the last one stays 0: neighbours that are no unknowns
  const product = new Float64Array(U);
  const enough = tolerance ** 2 * dot(known, known);
  let energy = 0;
  for (let step = 0; step < U && dot(residual, residual) > enough; step++) {
    // The next direction: down the residual, conjugate to the last one.
    let nextEnergy = 0;
    for (let u = 0; u < U; u++) nextEnergy += residual[u]! ** 2 / diagonal[u]!;
    const keep = step === 0 ? 0 : nextEnergy / energy;
    for (let u = 0; u < U; u++) direction[u] = residual[u]! / diagonal[u]! + keep * direction[u]!;
    energy = nextEnergy;
    // As far as it leads down.
    multiply(unknowns, diagonal, direction, product);
    let curvature = 0;
    for (let u = 0; u < U; u++) curvature += direction[u]! * product[u]!;
    const length = energy / curvature;
    for (let u = 0; u < U; u++) {
      solution[u]! += length * direction[u]!;
      residual[u]! -= length * product[u]!;
    }
  }
  return solution;
}

function multiply(unknowns: Int32Array, diagonal: Float64Array, vector: Float64Array, product: Float64Array): void {
  for (let u = 0, i = 0; u < product.length; u++, i += 8) {
    const corners =
      vector[unknowns[i]!]! + vector[unknowns[i + 2]!]! + vector[unknowns[i + 5]!]! + vector[unknowns[i + 7]!]!;
    const sides =
      vector[unknowns[i + 1]!]! + vector[unknowns[i + 3]!]! + vector[unknowns[i + 4]!]! + vector[unknowns[i + 6]!]!;
    product[u] = diagonal[u]! * vector[u]! - corners / 12 - sides / 6;
  }
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}
