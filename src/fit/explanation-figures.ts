import { wilsonInterval } from '../shared/kernels/wilson-interval.js';
import type { Interval } from './evaluate.js';
import { type ExplanationFigures, type JudgedExplanations, randomName } from './image-explanations.js';

export type FigureName = keyof ExplanationFigures;

/** Whether more is better. */
export const isHigherBetter: Record<FigureName, boolean> = {
  energyInMask: true,
  pointingGame: true,
  deletion: false,
  insertion: true,
  flipping: false,
  road: true,
  severityRoad: true,
};
export const figureNames = Object.keys(isHigherBetter) as FigureName[];

/** Over images; an interval holds the mean with 95 % certainty, and is null of a single image. */
export interface FigureSummary {
  images: number;
  mean: number;
  interval: Interval | null;
  /** How much better than the map drawn by lot, image by image; null of that map itself. */
  gain: { mean: number; interval: Interval | null } | null;
}

/** null where a figure cannot be had: without masks, or for this method. */
export type MethodSummary = Record<FigureName, FigureSummary | null>;

/** The figures of each method over all images. */
export function summariseMethods(judged: readonly JudgedExplanations[]): Record<string, MethodSummary> {
  const names = Object.keys(judged[0]?.methods ?? {});
  const summaryOf = (method: string) =>
    Object.fromEntries(figureNames.map((figure) => [figure, summariseFigure(judged, method, figure)])) as MethodSummary;
  return Object.fromEntries(names.map((method) => [method, summaryOf(method)]));
}

function summariseFigure(
  judged: readonly JudgedExplanations[],
  method: string,
  figure: FigureName,
): FigureSummary | null {
  const pairs = judged.flatMap(({ methods }) => {
    const [own, random] = [method, randomName].map((name) => methods[name]!.figures[figure]);
    return own == null || random == null ? [] : [{ own, gain: isHigherBetter[figure] ? own - random : random - own }];
  });
  if (pairs.length === 0) return null;
  const values = pairs.map(({ own }) => own);
  const { mean, interval } = estimate(values);
  const hits = values.reduce((sum, value) => sum + value, 0);
  return {
    images: values.length,
    mean,
    interval: figure === 'pointingGame' ? wilsonInterval(hits, values.length) : interval,
    gain: method === randomName ? null : estimate(pairs.map(({ gain }) => gain)),
  };
}

/** The 97.5 % quantile of the normal distribution. */
const z = 1.959963984540054;

function estimate(values: readonly number[]): { mean: number; interval: Interval | null } {
  const n = values.length;
  const mean = values.reduce((sum, value) => sum + value, 0) / n;
  if (n < 2) return { mean, interval: null };
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (n - 1);
  const reach = z * Math.sqrt(variance / n);
  return { mean, interval: [mean - reach, mean + reach] };
}

/** Whether it is certain enough that a method beats the map drawn by lot. */
export const beatsRandom = ({ gain }: FigureSummary): boolean => (gain?.interval?.[0] ?? 0) > 0;
