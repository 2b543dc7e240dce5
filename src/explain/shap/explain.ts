import { PatchlineError } from '../../shared/errors.js';
import type { FloatTensor } from '../../shared/onnx/run-graph.js';
import { sumOfSample } from '../gradient/integrated-gradients.js';
import { forEachTarget, type Question, sampleOf } from '../question.js';
import { createRowScorer } from '../rows.js';
import { largest } from './attribution.js';
import { deepShap } from './deep-shap.js';
import { inconsistencyHint, type PairedNetwork, pairNetwork } from './paired-network.js';

/** Of N samples for one class. */
export interface DeepExplanation {
  /** Of the input's shape. */
  map: FloatTensor;
  /** (N): mean score of the references. */
  expected: Float64Array;
  /** (N): sum of the attributions - (score - expected). */
  completenessGaps: Float64Array;
}

/** What the sum of a sample's values may miss, as a part of the largest number in it: float32 rounding. */
const tolerance = 1e-3;

/**
 * Deep SHAP of N samples for T classes against the background of the question.
 *
 * @throws ARGUMENT_INVALID without a background, EXPLANATION_INCONSISTENT where attributions do not add up, and what `pairNetwork`
 *   throws
 */
export async function explainByDeepShap(question: Question): Promise<DeepExplanation[]> {
  const { differentiator, x, run, background } = question;
  if (!background)
    throw new PatchlineError('ARGUMENT_INVALID', 'Expected a background for deep-shap but received none');
  const { network } = differentiator;
  const [N, ...sample] = x.dims as [number, ...number[]];
  const m = background.dims[0]!;
  const paired = await pairNetwork(network.model, sample, network.output, N * m, run);
  const scores = await differentiator.scores(x.data);
  const means = await meanScores(question, background);
  return await forEachTarget(question, async (targets, report) => {
    const values = Float32Array.from(await deepShap(paired, x.data, background.data, targets, report));
    const expected = Float64Array.from(targets, (target) => means[target]!);
    const completenessGaps = Float64Array.from(targets, (target, n) => {
      const change = scores[n * network.classes + target]! - expected[n]!;
      const gap = sumOfSample(values, n, N) - change;
      const scale = largest([change, expected[n]!], largest(sampleOf(values, n, N)));
      if (!(Math.abs(gap) <= tolerance * scale)) throw inconsistent(n, target, change, gap, paired); // NaN too
      return gap;
    });
    return { map: { data: values, dims: x.dims }, expected, completenessGaps };
  });
}

/** Of the background: (K). */
async function meanScores({ differentiator: { network }, run }: Question, { data, dims }: FloatTensor) {
  const [m, K] = [dims[0]!, network.classes];
  const write = (row: number, target: Float32Array) => target.set(sampleOf(data, row, m));
  const scores = await createRowScorer(network, run)({ count: m, write });
  const means = new Float64Array(K);
  for (let i = 0; i < scores.length; i++) means[i % K]! += scores[i]! / m;
  return means;
}

function inconsistent(n: number, target: number, change: number, gap: number, paired: PairedNetwork): PatchlineError {
  return new PatchlineError(
    'EXPLANATION_INCONSISTENT',
    `Expected the attributions of sample ${n} for class ${target} to add up to ${change}, its score less that of the ` +
      `background, but they miss it by ${gap}${inconsistencyHint(paired)}`,
    { details: { sample: n, class: target, gap } },
  );
}
