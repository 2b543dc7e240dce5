import { PatchlineError } from '../errors.js';
import { rowCount } from './shape.js';

// Rows are (n, D). Parameters are (D + 1): the weights of the standardised features, then the bias.

/** P(defect | row) = σ(bias + Σ_j weights[j] (row[j] - means[j]) / scales[j]). */
export interface LogisticRegression {
  /** (D), of the standardised features. */
  weights: Float64Array<ArrayBuffer>;
  bias: number;
  means: Float64Array<ArrayBuffer>;
  /** (D), standard deviations; 1 for a feature that does not vary. */
  scales: Float64Array<ArrayBuffer>;
}

export interface LogisticRegressionOptions {
  /** The weight of the penalty, above 0. */
  ridge: number;
}

/**
 * Logistic regression with a quadratic penalty: minimises the mean log loss, in which each class counts one half, plus
 * ridge / 2 · |weights|². Features are standardised with the same weighting, the bias is not penalised. So repeating all rows
 * of one class changes nothing, and separable rows still have one finite optimum.
 *
 * Deterministic. Solved by Newton steps whose linear systems are solved by conjugate gradients (Nocedal and Wright, Numerical
 * Optimization, 2nd ed., algorithm 7.1): exact after a few steps for five features, and without a D x D matrix for a thousand.
 *
 * @param rows (n, D) @param labels (n), 0 for good, anything else for defect
 * @throws SHAPE_MISMATCH
 * @throws TOO_FEW_IMAGES where one of the classes has no row
 * @throws FIT_NOT_CONVERGED where a value is not finite
 */
export function fitLogisticRegression(
  rows: Float32Array | Float64Array,
  labels: ArrayLike<number>,
  { ridge }: LogisticRegressionOptions,
): LogisticRegression {
  const n = labels.length;
  const D = rowCount('rows', rows, n);
  const rowWeights = classWeights(labels);
  const { means, scales } = momentsOf(rows, rowWeights, D);
  const standardised = new Float32Array(n * D);
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < D; j++) standardised[i * D + j] = (rows[i * D + j]! - means[j]!) / scales[j]!;
  }
  const parameters = minimise({ rows: standardised, labels, rowWeights, n, D, ridge });
  return { weights: parameters.slice(0, D), bias: parameters[D]!, means, scales };
}

/**
 * The model in the units of the rows: the log odds are bias + Σ_j weights[j] row[j].
 *
 * @returns weights (D)
 */
export function rawCoefficients({ weights, bias, means, scales }: LogisticRegression) {
  const raw = weights.map((weight, j) => weight / scales[j]!);
  return { weights: raw, bias: raw.reduce((sum, weight, j) => sum - weight * means[j]!, bias) };
}

/**
 * The log odds of a defect: unlike probabilities they never tie where rows differ, so ranks are taken of them.
 *
 * @param rows (n, D) @returns (n)
 * @throws SHAPE_MISMATCH
 */
export function logOdds(model: LogisticRegression, rows: Float32Array | Float64Array): Float64Array<ArrayBuffer> {
  const { weights, bias } = rawCoefficients(model);
  const D = weights.length;
  const odds = new Float64Array(rowCount('rows', rows, D));
  for (let i = 0; i < odds.length; i++) {
    let sum = bias;
    for (let j = 0; j < D; j++) sum += weights[j]! * rows[i * D + j]!;
    odds[i] = sum;
  }
  return odds;
}

/**
 * The probability of a defect where both classes are equally frequent.
 *
 * @param rows (n, D) @returns (n)
 * @throws SHAPE_MISMATCH
 */
export function predictProbability(model: LogisticRegression, rows: Float32Array | Float64Array) {
  return logOdds(model, rows).map(sigmoid);
}

export const sigmoid = (value: number): number => 1 / (1 + Math.exp(-value));

/** Each class sums to one half. */
export function classWeights(labels: ArrayLike<number>): Float64Array {
  let defects = 0;
  for (let i = 0; i < labels.length; i++) if (labels[i] !== 0) defects++;
  const good = labels.length - defects;
  if (good === 0 || defects === 0) {
    throw new PatchlineError(
      'TOO_FEW_IMAGES',
      `Expected rows of both classes but received ${good} good and ${defects} defect`,
    );
  }
  return Float64Array.from(labels, (label) => 0.5 / (label === 0 ? good : defects));
}

/** The weighted mean and standard deviation of each feature; the weights sum to 1. */
function momentsOf(rows: Float32Array | Float64Array, rowWeights: Float64Array, D: number) {
  const means = new Float64Array(D);
  const scales = new Float64Array(D);
  for (let i = 0; i < rows.length; i++) means[i % D]! += rowWeights[Math.floor(i / D)]! * rows[i]!;
  for (let i = 0; i < rows.length; i++)
    scales[i % D]! += rowWeights[Math.floor(i / D)]! * (rows[i]! - means[i % D]!) ** 2;
  for (let j = 0; j < D; j++) {
    const deviation = Math.sqrt(scales[j]!);
    scales[j] = deviation > 1e-9 * Math.abs(means[j]!) ? deviation : 1; // less is the rounding of a constant
  }
  return { means, scales };
}

interface Problem {
  /** (n, D), standardised. */
  rows: Float32Array;
  labels: ArrayLike<number>;
  rowWeights: Float64Array;
  n: number;
  D: number;
  ridge: number;
}

/** Newton's method from 0 with halved steps where a full one goes too far. Throws FIT_NOT_CONVERGED. */
function minimise(problem: Problem): Float64Array {
  let parameters = new Float64Array(problem.D + 1);
  let state = evaluate(problem, parameters);
  for (let iteration = 0; iteration < 100; iteration++) {
    const size = Math.sqrt(dot(state.gradient, state.gradient));
    if (size <= 1e-9) return parameters;
    const direction = newtonDirection(problem, state, Math.min(0.1, Math.sqrt(size)) * size);
    const slope = dot(direction, state.gradient);
    let next: { parameters: Float64Array<ArrayBuffer>; state: State } | undefined;
    for (let step = 1; step > 1e-9; step /= 2) {
      const there = parameters.map((value, j) => value + step * direction[j]!);
      const stateThere = evaluate(problem, there);
      // Armijo's rule, blind to what is only rounding
      if (!(stateThere.loss <= state.loss + 1e-4 * step * slope + 1e-14 * state.loss)) continue;
      next = { parameters: there, state: stateThere };
      break;
    }
    if (next === undefined) break;
    ({ parameters, state } = next);
  }
  throw new PatchlineError(
    'FIT_NOT_CONVERGED',
    `Expected finite rows and a ridge above 0 for a logistic regression of ${problem.n} rows of ${problem.D} features, but it does not converge`,
    { details: { ridge: problem.ridge, loss: state.loss } },
  );
}

interface State {
  loss: number;
  /** (D + 1) */
  gradient: Float64Array;
  /** (n): the second derivative of each row's weighted loss by its log odds. */
  curvature: Float64Array;
}

function evaluate({ rows, labels, rowWeights, n, D, ridge }: Problem, parameters: Float64Array): State {
  const gradient = parameters.map((value) => ridge * value);
  gradient[D] = 0;
  const curvature = new Float64Array(n);
  let loss = 0;
  for (let j = 0; j < D; j++) loss += (ridge / 2) * parameters[j]! ** 2;
  for (let i = 0; i < n; i++) {
    const odds = dotRow(rows, i, D, parameters);
    const target = labels[i] === 0 ? 0 : 1;
    const towards = target === 1 ? odds : -odds;
    loss += rowWeights[i]! * (Math.max(-towards, 0) + Math.log1p(Math.exp(-Math.abs(odds)))); // -log σ(towards)
    const probability = sigmoid(odds);
    curvature[i] = rowWeights[i]! * probability * (1 - probability);
    addRow(rows, i, D, rowWeights[i]! * (probability - target), gradient);
  }
  return { loss, gradient, curvature };
}

/** Solves H d = -gradient by conjugate gradients until the rest is below `tolerance`. */
function newtonDirection(problem: Problem, { gradient, curvature }: State, tolerance: number): Float64Array {
  const direction = new Float64Array(gradient.length);
  const residual = gradient.map((value) => -value);
  const search = residual.slice();
  let square = dot(residual, residual);
  for (let k = 0; k < 4 * gradient.length && Math.sqrt(square) > tolerance; k++) {
    const product = hessianTimes(problem, curvature, search);
    const length = square / dot(search, product);
    addScaled(direction, length, search);
    addScaled(residual, -length, product);
    const next = dot(residual, residual);
    for (let j = 0; j < search.length; j++) search[j] = residual[j]! + (next / square) * search[j]!;
    square = next;
  }
  return direction;
}

/** (Xᵀ diag(curvature) X + ridge) v, with a column of ones in X for the bias, which has no ridge. */
function hessianTimes({ rows, n, D, ridge }: Problem, curvature: Float64Array, v: Float64Array): Float64Array {
  const product = v.map((value) => ridge * value);
  product[D] = 0;
  for (let i = 0; i < n; i++) addRow(rows, i, D, curvature[i]! * dotRow(rows, i, D, v), product);
  return product;
}

/** Row i, with a 1 behind it, times v. */
function dotRow(rows: Float32Array, i: number, D: number, v: Float64Array): number {
  // Four running sums: one alone would wait for its own last addition.
  let [sum0, sum1, sum2, sum3] = [0, 0, 0, 0];
  let j = 0;
  let at = i * D;
  for (; j + 3 < D; j += 4, at += 4) {
    sum0 += rows[at]! * v[j]!;
    sum1 += rows[at + 1]! * v[j + 1]!;
    sum2 += rows[at + 2]! * v[j + 2]!;
    sum3 += rows[at + 3]! * v[j + 3]!;
  }
  for (; j < D; j++, at++) sum0 += rows[at]! * v[j]!;
  return sum0 + sum1 + (sum2 + sum3) + v[D]!;
}

/** target += factor · row i with a 1 behind it. */
function addRow(rows: Float32Array, i: number, D: number, factor: number, target: Float64Array): void {
  for (let j = 0, at = i * D; j < D; j++, at++) target[j]! += factor * rows[at]!;
  target[D]! += factor;
}

function addScaled(target: Float64Array, factor: number, vector: Float64Array): void {
  for (let j = 0; j < target.length; j++) target[j]! += factor * vector[j]!;
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let j = 0; j < a.length; j++) sum += a[j]! * b[j]!;
  return sum;
}
