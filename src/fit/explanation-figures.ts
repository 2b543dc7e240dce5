import { methods as explainMethods } from '../explain/methods.js';
import { wilsonInterval } from '../shared/kernels/wilson-interval.js';
import type { Interval } from './evaluate.js';
import { type DrawnMap, drawnMaps, type ExplanationFigures, isDrawn } from './image-explanations.js';

export type FigureName = keyof ExplanationFigures;

/** Whether more is better. */
export const isHigherBetter: Record<FigureName, boolean> = {
  energyInMask: true,
  pointingGame: true,
  deletion: false,
  insertion: true,
  flipping: false,
  road: true,
  severityDeletion: false,
};
export const figureNames = Object.keys(isHigherBetter) as FigureName[];

/** Over images; the interval holds the mean with 95 % certainty, and is null of a single image. */
export interface Estimate {
  mean: number;
  interval: Interval | null;
}

export interface FigureSummary extends Estimate {
  images: number;
  /** How much better than each map drawn by lot, image by image; null of these themselves. */
  gains: Record<DrawnMap, Estimate> | null;
}

/** null where a figure cannot be had: without masks, or for this method. */
export type MethodSummary = Record<FigureName, FigureSummary | null>;

/** Figures by method of one image. */
type ImageFigures = Readonly<Record<string, ExplanationFigures>>;

/** The figures of each method, and of the drawn maps among them, over all images. */
export function summariseMethods(judged: readonly ImageFigures[]): Record<string, MethodSummary> {
  const names = Object.keys(judged[0] ?? {});
  const summaryOf = (method: string) =>
    Object.fromEntries(figureNames.map((figure) => [figure, summariseFigure(judged, method, figure)])) as MethodSummary;
  return Object.fromEntries(names.map((method) => [method, summaryOf(method)]));
}

function summariseFigure(judged: readonly ImageFigures[], method: string, figure: FigureName): FigureSummary | null {
  const valuesOf = (name: string) => judged.flatMap((figures) => figures[name]![figure] ?? []);
  const values = valuesOf(method);
  if (values.length === 0) return null;
  const { mean, interval } = estimate(values);
  const hits = values.reduce((sum, value) => sum + value, 0);
  const sign = isHigherBetter[figure] ? 1 : -1;
  const gainOver = (drawn: DrawnMap) => {
    const others = valuesOf(drawn);
    return estimate(values.map((value, image) => sign * (value - others[image]!)));
  };
  return {
    images: values.length,
    mean,
    interval: figure === 'pointingGame' ? wilsonInterval(hits, values.length) : interval,
    gains: isDrawn(method)
      ? null
      : (Object.fromEntries(drawnMaps.map((drawn) => [drawn, gainOver(drawn)])) as Record<DrawnMap, Estimate>),
  };
}

/** The 97.5 % quantile of the normal distribution. */
const z = 1.959963984540054;

function estimate(values: readonly number[]): Estimate {
  const n = values.length;
  const mean = values.reduce((sum, value) => sum + value, 0) / n;
  if (n < 2) return { mean, interval: null };
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (n - 1);
  const reach = z * Math.sqrt(variance / n);
  return { mean, interval: [mean - reach, mean + reach] };
}

/** The drawn map that a method compares with: a network minds scattered pixels more than as many in one place. */
export const drawnLike = (method: string): DrawnMap =>
  ['attribution', 'saliency'].includes(explainMethods[method]?.kind ?? '') ? 'random-pixels' : 'random-regions';

/** Whether it is certain that a method beats the drawn map of its kind. */
export const beatsChance = (method: string, { gains }: FigureSummary): boolean =>
  (gains?.[drawnLike(method)].interval?.[0] ?? 0) > 0;
