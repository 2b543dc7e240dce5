import type { Compute } from '../shared/compute.js';
import { inspectedPart, type ModelInput } from '../shared/model-input.js';
import type { ScoreName } from '../shared/patchcore/image-score.js';
import type { Size } from '../shared/patchcore/patch-vectors.js';
import type { Projection } from '../shared/patchcore/score-graph.js';
import type { HeldOutScores } from '../shared/threshold-rule.js';
import type { DefectFeatures } from './defect-images.js';
import { scoreDefects } from './defect-scores.js';
import { scoreHeldOut } from './held-out-scores.js';
import { mapQuantileOf } from './map-quantile.js';
import type { MemoryBanks } from './memory-banks.js';
import { findOddImages } from './odd-images.js';
import { positionStatistics } from './position-statistics.js';
import { settings } from './profile.js';
import type { SecondTerm } from './second-term.js';
import { chooseThreshold, robustRule, type ThresholdChoice } from './threshold.js';

/** What images were found to be. N training images, L images of defects, P patches. */
export interface ToJudge {
  input: ModelInput;
  grid: Size;
  /** (N, P), each by a bank that has not seen it */
  distances: Float32Array;
  /** (N) likewise, for the score `reweighted` */
  reweightedScores: Float64Array;
  bank: MemoryBanks['bank'];
  defects: DefectFeatures;
  /** (L, P) by the bank */
  defectDistances: Float32Array;
  /** Scores of labelled defects that are not among these. */
  earlierDefects?: readonly number[];
  /** For the score `fused`. */
  secondTerm?: SecondTerm;
  subspaceProjection?: Projection;
}

export interface JudgeOptions {
  score: ScoreName;
  threshold?: ThresholdChoice;
  seed: number;
  compute: Compute;
}

/** What images are judged by, from the training images that were held out. */
export async function judge(found: ToJudge, { score, threshold = robustRule, seed, compute }: JudgeOptions) {
  const { input, grid, distances, reweightedScores, bank, defects, earlierDefects = [], secondTerm } = found;
  const { topFraction, mapSigma, thresholdFactor } = settings;
  const position = positionStatistics(distances, grid);
  const residuals = secondTerm && {
    distances: secondTerm.heldOut,
    position: positionStatistics(secondTerm.heldOut, grid),
  };
  const part = inspectedPart(input);
  const { scores, fusion } = scoreHeldOut(
    { distances, position, reweightedScores, residuals },
    { score, topFraction, part },
  );
  const heldOut: HeldOutScores = { good: [...scores] };
  if (defects.kind === 'labelled') {
    const dims = bank.rows.length / bank.sources.length;
    const scoring = { score, topFraction, position, fusion, rows: bank.rows, dims };
    const { defectDistances, subspaceProjection } = found;
    const ofDefects = { distances: defectDistances, scoring, part, secondTerm, subspaceProjection };
    heldOut.defects = [...earlierDefects, ...(await scoreDefects(defects, ofDefects, compute))];
  }
  const chosen = chooseThreshold(heldOut, threshold, { thresholdFactor, seed });
  return {
    heldOutDistances: distances,
    position,
    fusion,
    calibration: {
      ...chosen,
      heldOut,
      oddImages: findOddImages(heldOut.good, chosen),
      mapQuantile: mapQuantileOf(distances, score, position, { input, grid, mapSigma }),
    },
  };
}
