import type { LoadedBundle } from '../shared/loaded-bundle.js';
import { inspectedPart } from '../shared/model-input.js';
import { scoreHeldOut } from './held-out-scores.js';

/**
 * The share of a bundle's training images that it would flag, each by a model that had not seen it; null for the score
 * `reweighted`, which distances alone do not tell.
 */
export function heldOutAlarmRate({ bundle, scoring, ...found }: LoadedBundle): number | null {
  const { score, threshold } = bundle;
  if (score === 'reweighted') return null;
  const { position, fusion, topFraction, input } = scoring;
  const distances = found.heldOutDistances;
  const residuals = found.heldOutResiduals && { distances: found.heldOutResiduals, position: fusion!.position };
  const heldOut = { distances, position, residuals, reweightedScores: new Float64Array(0) };
  const { scores } = scoreHeldOut(heldOut, { score, topFraction, part: inspectedPart(input) });
  return scores.filter((value) => value >= threshold).length / scores.length;
}
