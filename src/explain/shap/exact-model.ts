import { allCoalitions, coalitionMeans, createGame, type RowFunction } from './coalitions.js';
import { shapleyValues } from './exact-shapley.js';

/** More coalitions than of so many features would take hours. */
export const maxExactFeatures = 16;

/**
 * Exact Shapley values of one row of any model with few features: all coalitions of those that vary.
 *
 * @param x (D) @param background (m, D) @param K outputs of the model
 * @returns (D, K)
 */
export async function exactModelShap(
  model: RowFunction,
  x: Float64Array,
  background: Float64Array,
  K: number,
): Promise<Float64Array<ArrayBuffer>> {
  const game = createGame(model, x, background);
  const V = game.varying.length;
  const values = new Float64Array(x.length * K);
  if (V === 0) return values;
  const means = await coalitionMeans(game, allCoalitions(V));
  for (let k = 0; k < K; k++) {
    const ofOutput = shapleyValues(
      means.filter((_, i) => i % K === k),
      V,
    );
    for (let v = 0; v < V; v++) values[game.varying[v]! * K + k] = ofOutput[v]!;
  }
  return values;
}
