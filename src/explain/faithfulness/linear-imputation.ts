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
  if (!removed.includes(0)) {
    throw new PatchlineError('SHAPE_MISMATCH', 'Expected at least one pixel that stays but all are removed');
  }
  const levels = buildLevels(removed, H, W);
  const { system } = levels[0]!;
  const { pixels } = system;
  const random = createRandom(seed);
  const imputed = Float32Array.from(image);
  let solution = new Float64Array(0);
  for (let c = 0; c < C; c++) {
    const valueAt = (p: number) => image[p * positionStep + c * channelStep]!;
    const isLikeLast = c > 0 && removed.every((_, p) => valueAt(p) === image[p * positionStep + (c - 1) * channelStep]);
    if (!isLikeLast) solution = solve(levels, knownSums(system, valueAt, H, W)); // a grey image has three equal channels
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
  const pixels = Int32Array.from(removed.keys()).filter((p) => removed[p] === 1);
  const U = pixels.length;
  const numbers = new Int32Array(H * W).fill(U);
  for (let u = 0; u < U; u++) numbers[pixels[u]!] = u;
  const unknowns = new Int32Array(U * 8).fill(U);
  const diagonal = new Float64Array(U);
  for (let u = 0; u < U; u++) {
    for (let k = 0; k < 8; k++) {
      const neighbour = neighbourOf(pixels[u]!, k, H, W);
      if (neighbour < 0) continue;
      diagonal[u]! += neighbours[k]![2];
      unknowns[u * 8 + k] = numbers[neighbour]!;
    }
  }
  return { pixels, unknowns, diagonal };
}

/** -1 outside the image. */
function neighbourOf(p: number, k: number, H: number, W: number): number {
  const y = Math.floor(p / W) + neighbours[k]![0];
  const x = (p % W) + neighbours[k]![1];
  return y < 0 || y >= H || x < 0 || x >= W ? -1 : y * W + x;
}

/** Σ weight · value over the neighbours that stay. (U) */
function knownSums({ pixels, unknowns }: System, valueAt: (p: number) => number, H: number, W: number): Float64Array {
  const U = pixels.length;
  const sums = new Float64Array(U);
  for (let u = 0; u < U; u++) {
    for (let k = 0; k < 8; k++) {
      const neighbour = unknowns[u * 8 + k] === U ? neighbourOf(pixels[u]!, k, H, W) : -1;
      if (neighbour >= 0) sums[u]! += neighbours[k]![2] * valueAt(neighbour);
    }
  }
  return sums;
}

/**
 * The system of the image at one size, each half as large as the one before; a block of four pixels is removed where all are.
 * The arrays hold one more value than there are unknowns, which stays 0: that of whatever is no unknown.
 */
interface Level {
  system: System;
  /** (U): which unknown of the next level each lies in; behind the last one where that is known there. */
  blocks: Int32Array;
  residual: Float64Array;
  correction: Float64Array;
  product: Float64Array;
}

function buildLevels(removed: Uint8Array, H: number, W: number): Level[] {
  const system = buildSystem(removed, H, W);
  const U = system.pixels.length;
  const arrays = { residual: new Float64Array(U + 1), correction: new Float64Array(U + 1) };
  const level = { system, blocks: new Int32Array(U), product: new Float64Array(U), ...arrays };
  if (U === 0) return [level];
  const [h, w] = [Math.ceil(H / 2), Math.ceil(W / 2)];
  const blockOf = (p: number) => (Math.floor(p / W) >> 1) * w + ((p % W) >> 1);
  const coarse = new Uint8Array(h * w).fill(1);
  for (let p = 0; p < removed.length; p++) if (removed[p] === 0) coarse[blockOf(p)] = 0;
  const coarser = buildLevels(coarse, h, w);
  const places = new Int32Array(h * w).fill(coarser[0]!.system.pixels.length);
  for (const [u, p] of coarser[0]!.system.pixels.entries()) places[p] = u;
  for (const [u, p] of system.pixels.entries()) level.blocks[u] = places[blockOf(p)]!;
  return [level, ...coarser];
}

/** The length of the residual against that of the known sums. */
const tolerance = 1e-6;

/**
 * Conjugate gradients (Hestenes and Stiefel 1952), U steps at most. Preconditioned by a cycle over all sizes of the image they take
 * ten to twenty, where plain ones take as many as a removed region is wide.
 */
function solve(levels: readonly Level[], known: Float64Array): Float64Array<ArrayBuffer> {
  const { system, residual, correction, product } = levels[0]!;
  const { unknowns, diagonal } = system;
  const U = known.length;
  const solution = new Float64Array(U);
  residual.set(known);
  const direction = new Float64Array(U + 1);
  const enough = tolerance ** 2 * dot(known, known);
  let energy = 0;
  for (let step = 0; step < U && dot(residual, residual) > enough; step++) {
    // The next direction: down the residual, conjugate to the last one.
    cycle(levels, 0);
    const nextEnergy = dot(residual, correction);
    const keep = step === 0 ? 0 : nextEnergy / energy;
    for (let u = 0; u < U; u++) direction[u] = correction[u]! + keep * direction[u]!;
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

const damping = 0.7;

/** One V-cycle of multigrid: about what has to be added to a solution with this residual. The same before and after the coarser part. */
function cycle(levels: readonly Level[], index: number): void {
  const { system, blocks, residual, correction, product } = levels[index]!;
  const { unknowns, diagonal } = system;
  const U = diagonal.length;
  for (let u = 0; u < U; u++) correction[u] = (damping * residual[u]!) / diagonal[u]!;
  const coarser = levels[index + 1];
  if (!coarser) return;
  // What is left, at half the size.
  multiply(unknowns, diagonal, correction, product);
  coarser.residual.fill(0);
  for (let u = 0; u < U; u++) coarser.residual[blocks[u]!]! += residual[u]! - product[u]!;
  coarser.residual[coarser.residual.length - 1] = 0;
  cycle(levels, index + 1);
  for (let u = 0; u < U; u++) correction[u]! += coarser.correction[blocks[u]!]!;
  // What the steps between blocks have brought in.
  multiply(unknowns, diagonal, correction, product);
  for (let u = 0; u < U; u++) correction[u]! += (damping * (residual[u]! - product[u]!)) / diagonal[u]!;
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
