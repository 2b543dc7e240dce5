import { inspectedPart } from '../shared/model-input.js';
import type { Projection } from '../shared/patchcore/score-graph.js';
import type { HeldOutScores } from '../shared/threshold-rule.js';
import type { DefectFeatures } from './defect-images.js';
import { scoreDefects } from './defect-scores.js';
import { scoreHeldOut } from './held-out-scores.js';
import type { FitContext, Training } from './learn.js';
import { mapQuantileOf } from './map-quantile.js';
import type { MemoryBanks } from './memory-banks.js';
import { findOddImages } from './odd-images.js';
import { positionStatistics } from './position-statistics.js';
import { settings } from './profile.js';
import type { SecondTerm } from './second-term.js';
import { chooseThreshold, robustRule } from './threshold.js';

export interface ToJudge {
  training: Training;
  banks: MemoryBanks;
  defects: DefectFeatures;
  /** For the score `fused`. */
  secondTerm?: SecondTerm;
  subspaceProjection?: Projection;
}

/** What images are judged by, from the training images that were held out. */
export async function judge(learned: ToJudge, { recipe, threshold = robustRule, seed, compute }: FitContext) {
  const { training, banks, defects, secondTerm, subspaceProjection } = learned;
  const { images, input, grid } = training;
  const { score } = recipe;
  const { topFraction, mapSigma, thresholdFactor } = settings;
  const inGood = images.length * grid.height * grid.width;
  const distances = banks.distances.slice(0, inGood);
  const position = positionStatistics(distances, grid);
  const reweightedScores = banks.reweightedScores.slice(0, images.length);
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
    const { rows } = banks.bank;
    const dims = rows.length / banks.bank.sources.length;
    const scoring = { score, topFraction, position, fusion, rows, dims };
    const ofDefects = { distances: banks.distances.slice(inGood), scoring, part, secondTerm, subspaceProjection };
    heldOut.defects = await scoreDefects(defects, ofDefects, compute);
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
