import {
  distanceScore,
  type Fusion,
  fuse,
  type PositionStatistics,
  positionScore,
  type ScoreName,
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

/** The scores (N) of the training images, and for `fused` what the two that it is made of are standardised by. */
export function scoreHeldOut(score: ScoreName, heldOut: HeldOut, topFraction: number) {
  const { distances, position, reweightedScores, residuals } = heldOut;
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
    position: residuals!.position,
    distanceScores: spreadOf(ofDistances),
    residualScores: spreadOf(ofResiduals),
  };
  const scores = ofDistances.map((own, image) =>
    fuse(standardise(own, fusion.distanceScores), standardise(ofResiduals[image]!, fusion.residualScores)),
  );
  return { scores, fusion };
}

function eachImage(values: Float32Array, { means }: PositionStatistics, scoreOf: (ofImage: Float32Array) => number) {
  const P = means.length;
  return Float64Array.from({ length: values.length / P }, (_, image) =>
    scoreOf(values.subarray(image * P, (image + 1) * P)),
  );
}
