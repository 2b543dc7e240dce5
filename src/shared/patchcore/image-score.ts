import { maxScore, meanOfLargest, reweightedScore } from '../kernels/image-score.js';
import { mean, median as medianOf, quantile } from '../kernels/quantile.js';

/** How one number is made of an image's patches. P patches, d dimensions, M bank rows. */
export const scoreNames = ['fused', 'position', 'top3', 'max', 'reweighted'] as const;
export type ScoreName = (typeof scoreNames)[number];

/** Judges by what is usual at each position; the other scores are those of the literature, of plain distances. */
export const isPositional = (score: ScoreName): boolean => score === 'fused' || score === 'position';

/** What is usual at each position of the part, among good images that were held out. */
export interface PositionStatistics {
  /** (P) m_p */
  means: Float32Array;
  /** (P) e_p: what a deviation from the mean is divided by */
  scales: Float32Array;
}

/** Where held-out scores lie: by their median, and how far above it their 84.13 % quantile is. */
export interface ScoreSpread {
  median: number;
  spread: number;
}

const smallestSpread = 1e-9;
/** What lies one standard deviation above the median of a normal distribution. */
const spreadQuantile = 0.8413;

/** Few odd images among the good ones do not move these, as they would a high quantile. */
export function spreadOf(scores: Float64Array): ScoreSpread {
  const median = medianOf(scores);
  return { median, spread: Math.max(quantile(scores, spreadQuantile) - median, smallestSpread) };
}

/** Bank rows that the score `reweighted` looks at around the nearest one: b of the paper. */
const reweightingNeighbours = 9;

/** The score `reweighted` of distances (P) and projected patch vectors (P, d). */
export function reweightedScoreOf(
  distances: Float32Array,
  projected: Float32Array,
  { rows, dims }: Pick<ImageScoring, 'rows' | 'dims'>,
): number {
  const { patch } = maxScore(distances);
  const vector = projected.subarray(patch * dims, (patch + 1) * dims);
  return reweightedScore(vector, rows, dims, reweightingNeighbours).score;
}

export interface ImageScoring {
  score: ScoreName;
  position: PositionStatistics;
  /** Of the score `fused`. */
  fusion?: Fusion;
  /** Share of an image's patches whose mean is its score. */
  topFraction: number;
  /** (M, d) */
  rows: Float32Array;
  dims: number;
}

export interface Fusion {
  /** What residual distances are usual. */
  position: PositionStatistics;
  distanceScores: ScoreSpread;
  residualScores: ScoreSpread;
}

export interface PatchValues {
  /** (P) */
  distances: Float32Array;
  /** (P, d) */
  projected: Float32Array;
  /** (P), for the score `fused` */
  residualDistances?: Float32Array;
}

/** The values, `width` for each patch, of some patches. */
export function select(values: Float32Array, patches: Int32Array, width = 1): Float32Array {
  const selected = new Float32Array(patches.length * width);
  for (const [row, patch] of patches.entries()) {
    selected.set(values.subarray(patch * width, (patch + 1) * width), row * width);
  }
  return selected;
}

export const selectPositions = ({ means, scales }: PositionStatistics, patches: Int32Array): PositionStatistics => ({
  means: select(means, patches),
  scales: select(scales, patches),
});

/** The anomaly score of an image, of the inspected patches where not all are. */
export function imageScore(values: PatchValues, scoring: ImageScoring, inspected?: Int32Array): number {
  return inspected ? scoreOfPart(values, scoring, inspected) : scoreOfAll(values, scoring);
}

function scoreOfPart(values: PatchValues, scoring: ImageScoring, patches: Int32Array): number {
  const { distances, projected, residualDistances } = values;
  const { position, fusion, dims } = scoring;
  return scoreOfAll(
    {
      distances: select(distances, patches),
      projected: select(projected, patches, dims),
      ...(residualDistances && { residualDistances: select(residualDistances, patches) }),
    },
    {
      ...scoring,
      position: selectPositions(position, patches),
      ...(fusion && { fusion: { ...fusion, position: selectPositions(fusion.position, patches) } }),
    },
  );
}

function scoreOfAll({ distances, projected, residualDistances }: PatchValues, scoring: ImageScoring): number {
  const { score, position, fusion, topFraction } = scoring;
  if (score === 'reweighted') return reweightedScoreOf(distances, projected, scoring);
  if (score !== 'fused') return distanceScore(score, distances, scoring);
  const ofDistances = positionScore(distances, position, topFraction);
  const ofResiduals = positionScore(residualDistances!, fusion!.position, topFraction);
  return fuse(standardise(ofDistances, fusion!.distanceScores), standardise(ofResiduals, fusion!.residualScores));
}

/** The scores that follow from the patch distances (P) alone. */
export function distanceScore(
  score: Exclude<ScoreName, 'fused' | 'reweighted'>,
  distances: Float32Array,
  { position, topFraction }: Pick<ImageScoring, 'position' | 'topFraction'>,
): number {
  if (score === 'max') return maxScore(distances).score;
  return score === 'top3' ? topScore(distances, topFraction) : positionScore(distances, position, topFraction);
}

/**
 * How unusual an image's patch values (P) are where they are: z_p = (value_p - m_p) / e_p, and of these the mean of the
 * max(1, round(topFraction · P)) largest.
 */
export function positionScore(
  values: Float32Array,
  { means, scales }: PositionStatistics,
  topFraction: number,
): number {
  return topScore(
    Float64Array.from(values, (value, patch) => (value - means[patch]!) / scales[patch]!),
    topFraction,
  );
}

function topScore(values: Float32Array | Float64Array, topFraction: number): number {
  return meanOfLargest(values, Math.max(1, Math.round(topFraction * values.length)));
}

export const standardise = (score: number, { median, spread }: ScoreSpread): number => (score - median) / spread;

/** Two standardised scores as one: the length of their positive parts, below 0 the larger of the two. */
export const fuse = (a: number, b: number): number =>
  Math.sqrt(Math.max(a, 0) ** 2 + Math.max(b, 0) ** 2) + Math.min(0, Math.max(a, b));

/** What the anomaly map is made of (P): the distances, less what is usual where the score goes by that. */
export function mapValues(distances: Float32Array, score: ScoreName, { means }: PositionStatistics): Float32Array {
  return isPositional(score) ? distances.map((distance, patch) => distance - means[patch]!) : distances;
}

/** What the readable features take from an image's patch distances (P). */
export function patchDistanceOf(distances: Float32Array): { mean: number; max: number } {
  return { mean: mean(distances), max: maxScore(distances).score };
}
