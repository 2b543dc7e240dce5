import { CholeskyDecomposition, Matrix, solve } from 'ml-matrix';
import { createRandom } from '../../shared/kernels/random.js';
import { type CoalitionSample, sampleCoalitions } from './coalition-sample.js';
import { coalitionMeans, createGame, type RowFunction } from './coalitions.js';

/** Coalitions of a row with V varying features, as the reference implementation takes them: all where there are no more. */
const coalitionCount = (V: number): number => 2 * V + 2048;
const seed = 0;

/**
 * Kernel SHAP of one row of any model (Lundberg and Lee, arXiv:1705.07874): the Shapley values are the weighted least squares fit
 * of v(S) by an additive game that is right on the empty and on the whole coalition. Exact where all coalitions fit in.
 *
 * @param x (D) @param background (m, D)
 * @param prediction (K) of x @param baseValues (K), mean prediction over the background
 * @returns (D, K)
 */
export async function kernelShap(
  model: RowFunction,
  x: Float64Array,
  background: Float64Array,
  { prediction, baseValues }: { prediction: Float64Array; baseValues: Float64Array },
): Promise<Float64Array<ArrayBuffer>> {
  const K = prediction.length;
  const game = createGame(model, x, background);
  const V = game.varying.length;
  const values = new Float64Array(x.length * K);
  const gains = prediction.map((value, k) => value - baseValues[k]!);
  if (V === 1) values.set(gains, game.varying[0]! * K);
  if (V <= 1) return values;
  const sample = sampleCoalitions(V, coalitionCount(V), createRandom(seed));
  const means = await coalitionMeans(game, sample.members);
  const fitted = fitAdditive(
    sample,
    means.map((mean, i) => mean - baseValues[i % K]!),
    gains,
  );
  for (let v = 0; v < V; v++) values.set(fitted.subarray(v * K, (v + 1) * K), game.varying[v]! * K);
  return values;
}

/**
 * The additive game closest to `worths` in weighted squares whose values sum to `gains`: the last value is what the others
 * leave, which takes the constraint into the equations.
 *
 * @param worths (C, K), v(S) - v(∅) @param gains (K), v(all) - v(∅)
 * @returns (V, K)
 */
function fitAdditive({ members, weights }: CoalitionSample, worths: Float64Array, gains: Float64Array): Float64Array {
  const K = gains.length;
  const C = weights.length;
  const V = members.length / C;
  const U = V - 1;
  const squares = new Float64Array(U * U);
  const products = new Float64Array(U * K);
  const design = new Float64Array(U);
  for (let c = 0; c < C; c++) {
    const last = members[c * V + U]!;
    for (let v = 0; v < U; v++) design[v] = members[c * V + v]! - last;
    for (let v = 0; v < U; v++) {
      const weighted = weights[c]! * design[v]!;
      if (weighted === 0) continue;
      for (let u = 0; u <= v; u++) squares[v * U + u]! += weighted * design[u]!;
      for (let k = 0; k < K; k++) products[v * K + k]! += weighted * (worths[c * K + k]! - last * gains[k]!);
    }
  }
  const solution = solveSymmetric(squares, products, U, K);
  const values = new Float64Array(V * K);
  values.set(gains, U * K);
  for (let v = 0; v < U; v++) {
    for (let k = 0; k < K; k++) {
      values[v * K + k] = solution.get(v, k);
      values[U * K + k]! -= solution.get(v, k);
    }
  }
  return values;
}

/** `squares` holds the lower triangle. A system without one solution, of too few coalitions, gets the smallest. */
function solveSymmetric(squares: Float64Array, products: Float64Array, U: number, K: number): Matrix {
  const left = new Matrix(U, U);
  for (let v = 0; v < U; v++) {
    for (let u = 0; u <= v; u++) {
      left.set(v, u, squares[v * U + u]!);
      left.set(u, v, squares[v * U + u]!);
    }
  }
  const right = Matrix.from1DArray(U, K, products);
  const cholesky = new CholeskyDecomposition(left);
  return cholesky.isPositiveDefinite() ? cholesky.solve(right) : solve(left, right, true);
}
