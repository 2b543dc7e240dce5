import { performance } from 'node:perf_hooks';
import { median } from '../dist/shared/kernels/quantile.js';

/**
 * Runs each form in turn, so that a change in the machine's speed meets all, once to warm up and then `rounds` times.
 *
 * @template {string} Name
 * @param {Record<Name, () => unknown>} forms
 * @param {number} rounds
 * @returns {Promise<Record<Name, { min: number, median: number }>>} milliseconds
 */
export async function measure(forms, rounds) {
  const names = /** @type {Name[]} */ (Object.keys(forms));
  const times = names.map(() => new Float64Array(rounds));
  for (let round = -1; round < rounds; round++) {
    for (const [index, name] of names.entries()) {
      const startedAt = performance.now();
      await forms[name]();
      if (round >= 0) /** @type {Float64Array} */ (times[index])[round] = performance.now() - startedAt;
    }
  }
  const summaries = times.map((ofForm) => ({ min: Math.min(...ofForm), median: median(ofForm) }));
  return /** @type {Record<Name, { min: number, median: number }>} */ (
    Object.fromEntries(names.map((name, index) => [name, summaries[index]]))
  );
}
