import { pMapIterable } from 'p-map';
import { runsAtATime } from '../runs-at-a-time.js';
import type { PairedNetwork } from './paired-network.js';

/**
 * Deep SHAP: DeepLIFT by the rescale rule (Shrikumar et al., arXiv:1704.02685, Eq. 7), its contributions averaged over references
 * (Lundberg and Lee, arXiv:1705.07874, section 4.2). The values of a sample sum to its output less the mean output of the references.
 * Two values that are the same number have the contribution 0.
 *
 * @param samples (n, D) @param references (m, D) @param outputs (n): which output is explained
 * @param report is told how many of the n m pairs are done
 * @returns (n, D)
 */
export async function deepShap(
  { pairs: B, D, multipliers }: PairedNetwork,
  samples: Float32Array,
  references: Float32Array,
  outputs: readonly number[],
  report?: (done: number, total: number) => void,
): Promise<Float64Array<ArrayBuffer>> {
  const m = references.length / D;
  const total = outputs.length * m;
  const values = new Float64Array(samples.length);
  const starts = Array.from({ length: Math.ceil(total / B) }, (_, index) => index * B);
  const runFrom = async (start: number) => {
    const count = Math.min(B, total - start);
    const rows = new Float32Array(2 * B * D); // the pairs that are left over hold 0
    const explained = new Array<number>(B).fill(0);
    for (let pair = 0; pair < count; pair++) {
      const [n, reference] = [Math.floor((start + pair) / m), (start + pair) % m];
      rows.set(samples.subarray(n * D, (n + 1) * D), pair * D);
      rows.set(references.subarray(reference * D, (reference + 1) * D), (B + pair) * D);
      explained[pair] = outputs[n]!;
    }
    return { start, count, rows, found: await multipliers(rows, explained) };
  };
  for await (const { start, count, rows, found } of pMapIterable(starts, runFrom, runsAtATime)) {
    for (let pair = 0; pair < count; pair++) {
      const first = Math.floor((start + pair) / m) * D;
      for (let j = 0, i = pair * D; j < D; j++, i++) {
        const difference = rows[i]! - rows[B * D + i]!;
        if (difference !== 0) values[first + j]! += (found[i]! * difference) / m;
      }
    }
    report?.(start + count, total);
  }
  return values;
}
