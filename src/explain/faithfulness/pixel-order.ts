import { createRandom } from '../../shared/kernels/random.js';

/** Pixels of a map by their heat, hottest first; of equal ones the earlier first. (P) */
export const heatOrder = (map: Float32Array): Int32Array<ArrayBuffer> =>
  Int32Array.from(map.keys()).sort((p, q) => map[q]! - map[p]! || p - q);

/** All P pixels, each once, in an order drawn by lot. */
export const randomOrder = (P: number, seed: number): Int32Array<ArrayBuffer> => createRandom(seed).permutation(P);
