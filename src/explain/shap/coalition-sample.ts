import type { Random } from '../../shared/kernels/random.js';

/** Coalitions of V features, with the weights of their squared errors, which sum to 1. */
export interface CoalitionSample {
  /** (C, V): 1 for a member. */
  members: Uint8Array;
  /** (C) */
  weights: Float64Array;
}

/**
 * Coalitions for Kernel SHAP, none empty or whole. Sizes are taken in pairs s and V - s, from the outside: all coalitions of a
 * pair of sizes as long as `count` covers them at their share of the weight (V - 1) / (C(V, s) s (V - s)); the rest are drawn
 * by that weight, each together with its complement, and one drawn again counts again. The scheme of the reference
 * implementation (Lundberg and Lee, arXiv:1705.07874; paired draws: Covert and Lee, arXiv:2012.01536).
 */
export function sampleCoalitions(V: number, count: number, random: Random): CoalitionSample {
  const members: number[][] = [];
  const weights: number[] = [];
  const sizes = Array.from({ length: Math.ceil((V - 1) / 2) }, (_, index) => index + 1);
  const isPaired = (size: number) => 2 * size !== V;
  const sizeWeights = sizes.map((size) => ((isPaired(size) ? 2 : 1) * (V - 1)) / (size * (V - size)));
  const total = sizeWeights.reduce((sum, weight) => sum + weight, 0);
  let left = Math.min(count, 2 ** Math.min(V, 50) - 2);
  let weightLeft = 1;
  let whole = 0;
  for (const [index, size] of sizes.entries()) {
    const share = sizeWeights[index]! / total;
    const subsets = binomial(V, size) * (isPaired(size) ? 2 : 1);
    if ((left * share) / weightLeft / subsets < 1 - 1e-8) break;
    for (const chosen of combinations(V, size)) {
      for (const each of isPaired(size) ? [chosen, complement(chosen)] : [chosen]) {
        members.push(each);
        weights.push(share / subsets);
      }
    }
    left -= subsets;
    weightLeft -= share;
    whole++;
  }
  if (whole < sizes.length) drawRest();
  return { members: Uint8Array.from(members.flat()), weights: Float64Array.from(weights) };

  function drawRest(): void {
    const drawn = new Map<string, number>();
    const counts: number[] = [];
    const add = (coalition: number[]) => {
      const key = coalition.join('');
      const known = drawn.get(key);
      if (known !== undefined) {
        counts[known]!++;
        return;
      }
      drawn.set(key, counts.length);
      counts.push(1);
      members.push(coalition);
    };
    const restWeights = sizes.slice(whole).map((size) => (V - 1) / (size * (V - size)));
    for (let draw = 0; draw < 4 * left && counts.length < left; draw++) {
      const size = sizes[whole + weightedIndex(restWeights, random)]!;
      const chosen = new Array<number>(V).fill(0);
      for (const v of random.permutation(V).subarray(0, size)) chosen[v] = 1;
      add(chosen);
      if (isPaired(size)) add(complement(chosen));
    }
    const sum = counts.reduce((all, times) => all + times, 0);
    for (const times of counts) weights.push((weightLeft * times) / sum);
  }
}

const complement = (coalition: readonly number[]): number[] => coalition.map((member) => 1 - member);

function weightedIndex(weights: readonly number[], random: Random): number {
  let rest = random.uniform() * weights.reduce((sum, weight) => sum + weight, 0);
  for (const [index, weight] of weights.entries()) {
    rest -= weight;
    if (rest < 0) return index;
  }
  return weights.length - 1;
}

function binomial(n: number, k: number): number {
  let value = 1;
  for (let i = 1; i <= k; i++) value = (value * (n - k + i)) / i;
  return Math.round(value);
}

/** All coalitions of `size` of V features, in lexicographic order of their members. */
function* combinations(V: number, size: number): Generator<number[]> {
  const places = Array.from({ length: size }, (_, index) => index);
  for (;;) {
    const coalition = new Array<number>(V).fill(0);
    for (const place of places) coalition[place] = 1;
    yield coalition;
    let last = size - 1;
    while (last >= 0 && places[last] === V - size + last) last--;
    if (last < 0) return;
    places[last]!++;
    for (let next = last + 1; next < size; next++) places[next] = places[next - 1]! + 1;
  }
}
