import type { InspectedPart } from '../shared/model-input.js';
import {
  distanceScore,
  type Fusion,
  fuse,
  type PositionStatistics,
  positionScore,
  type ScoreName,
  select,
  selectPositions,
  spreadOf,
  standardise,
} from '../shared/patchcore/image-score.js';

/** What N training images were found to be by models that have not seen them. P patches. */
export interface HeldOut {
  /** (N, P) */
  distances: Float32Array;
  position: PositionStatistics;
  /** (N) for the score `reweighted` */
  reweightedScores: Float64Array;
  /** (N, P) for the score `fused` */
  residuals?: { distances: Float32Array; position: PositionStatistics };
}

export interface ScoringForm {
  score: ScoreName;
  topFraction: number;
  /** Where not all of an image is inspected. */
  part?: InspectedPart;
}

/** The scores (N) of the training images, and for `fused` what the two that it is made of are standardised by. */
export function scoreHeldOut(everywhere: HeldOut, { score, topFraction, part }: ScoringForm) {
  const { distances, position, reweightedScores, residuals } = part
    ? inspectedOnly(everywhere, part.patches)
    : everywhere;
  if (score === 'reweighted') return { scores: reweightedScores };
  if (score !== 'fused') {
    return {
      scores: eachImage(distances, position, (ofImage) => distanceScore(score, ofImage, { position, topFraction })),
    };
  }
  const scoreBy = (values: Float32Array, usual: PositionStatistics) =>
    eachImage(values, usual, (ofImage) => positionScore(ofImage, usual, topFraction));
  const ofDistances = scoreBy(distances, position);
  const ofResiduals = scoreBy(residuals!.distances, residuals!.position);
  const fusion: Fusion = {
    position: everywhere.residuals!.position,
    distanceScores: spreadOf(ofDistances),
    residualScores: spreadOf(ofResiduals),
  };
  const scores = ofDistances.map((own, image) =>
    fuse(standardise(own, fusion.distanceScores), standardise(ofResiduals[image]!, fusion.residualScores)),
  );
  return { scores, fusion };
}

/** What was found at the inspected patches (P' of P). */
function inspectedOnly({ distances, position, reweightedScores, residuals }: HeldOut, patches: Int32Array): HeldOut {
  const P = position.means.length;
  const everywhere = Int32Array.from({ length: (distances.length / P) * patches.length }, (_, i) => {
    return Math.floor(i / patches.length) * P + patches[i % patches.length]!;
  });
  return {
    distances: select(distances, everywhere),
    position: selectPositions(position, patches),
    reweightedScores,
    ...(residuals && {
      residuals: {
        distances: select(residuals.distances, everywhere),
        position: selectPositions(residuals.position, patches),
      },
    }),
  };
}

function eachImage(values: Float32Array, { means }: PositionStatistics, scoreOf: (ofImage: Float32Array) => number) {
  const P = means.length;
  return Float64Array.from({ length: values.length / P }, (_, image) =>
    scoreOf(values.subarray(image * P, (image + 1) * P)),
  );
}
