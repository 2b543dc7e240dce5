import type { Warning } from '../shared/contracts.js';
import { aupro } from '../shared/kernels/aupro.js';
import { auroc } from '../shared/kernels/auroc.js';
import { f1Max } from '../shared/kernels/f1-max.js';
import { wilsonInterval } from '../shared/kernels/wilson-interval.js';
import type { LoadedBundle } from '../shared/loaded-bundle.js';
import type { Size } from '../shared/patchcore/patch-vectors.js';
import { type EvaluateOptions, type JudgedImage, type Judgements, judgeImages } from './evaluate-images.js';
import type { SkippedImage } from './readable-images.js';

/** Of a rate, with 95 % certainty (Wilson). */
export type Interval = [low: number, high: number];

/** How well a bundle tells good images from bad ones. null where a figure cannot be had: one class only, or no masks. */
export interface Evaluation {
  product: string;
  bundle: string;
  images: number;
  imageAuroc: number | null;
  /** Over the pixels of good images and of those with a mask. */
  pixelAuroc: number | null;
  /** Per-region overlap up to a false positive rate of 0.3. */
  aupro: number | null;
  /** At the best threshold in hindsight: to compare methods by, not what the bundle's own threshold gives. */
  f1Max: number | null;
  /** Of the good/defect classifier and of the risk model, which learned from other defects than these. */
  classifierAuroc: number | null;
  riskAuroc: number | null;
  /** The bundle's own. Everything below is what it gives. */
  threshold: number;
  /** Images. */
  confusion: { goodPassed: number; falseAlarms: number; defectsFound: number; misses: number };
  /** Shares of good images flagged and of defects not flagged. */
  falseAlarmRate: number | null;
  falseAlarmInterval: Interval | null;
  missRate: number | null;
  missInterval: Interval | null;
  /** Each kind of defect against the good images. */
  perDefect: Record<string, DefectFigures>;
  /** Scored. */
  imagesPerSecond: number;
  warnings: Warning[];
  /** Images that could not be read. */
  skipped: SkippedImage[];
}

export interface DefectFigures {
  images: number;
  imageAuroc: number | null;
  pixelAuroc: number | null;
  misses: number;
  missRate: number | null;
  missInterval: Interval | null;
}

/** The figures, and the images that they were counted from. Error: DATASET_INVALID. */
export async function evaluateBundle(
  options: EvaluateOptions,
): Promise<{ evaluation: Evaluation; images: JudgedImage[] }> {
  const judgements = await judgeImages(options);
  return { evaluation: figuresOf(judgements, options.bundle), images: judgements.images };
}

export const isGood = ({ image }: JudgedImage): boolean => image.defect === null;
export const isMiss = (judged: JudgedImage): boolean => !isGood(judged) && !judged.isFlagged;

/** Images by kind of defect, in order of the names. */
export function byDefect(images: readonly JudgedImage[]): [defect: string, images: JudgedImage[]][] {
  const kinds = [...new Set(images.flatMap(({ image }) => image.defect ?? []))].sort();
  return kinds.map((kind) => [kind, images.filter(({ image }) => image.defect === kind)]);
}

/** What was counted, as figures. */
export function figuresOf(
  { images, skipped, warnings, seconds }: Judgements,
  { bundle }: Pick<LoadedBundle, 'bundle'>,
): Evaluation {
  const good = images.filter(isGood);
  const defective = images.filter((judged) => !isGood(judged));
  const falseAlarms = good.filter(({ isFlagged }) => isFlagged).length;
  const { misses, missRate, missInterval } = missesOf(defective);
  const aurocOf = (score: (judged: JudgedImage) => number) => auroc(images.map(score), labelsOf(images));
  return {
    product: bundle.product,
    bundle: bundle.version,
    images: images.length,
    imageAuroc: aurocOf(({ score }) => score),
    ...pixelFigures(images, bundle.input),
    f1Max: good.length > 0 && defective.length > 0 ? f1Max(scoresOf(images), labelsOf(images))!.f1 : null,
    classifierAuroc: aurocOf(({ classifierLogOdds }) => classifierLogOdds),
    riskAuroc: aurocOf(({ riskLogOdds }) => riskLogOdds),
    threshold: bundle.threshold,
    confusion: {
      goodPassed: good.length - falseAlarms,
      falseAlarms,
      defectsFound: defective.length - misses,
      misses,
    },
    falseAlarmRate: good.length > 0 ? falseAlarms / good.length : null,
    falseAlarmInterval: wilsonInterval(falseAlarms, good.length),
    missRate,
    missInterval,
    perDefect: Object.fromEntries(
      byDefect(defective).map(([defect, ofKind]) => [defect, defectFigures(good, ofKind, bundle.input)]),
    ),
    imagesPerSecond: images.length / seconds,
    warnings,
    skipped,
  };
}

const scoresOf = (images: readonly JudgedImage[]) => images.map(({ score }) => score);
const labelsOf = (images: readonly JudgedImage[]) => images.map((judged) => Number(!isGood(judged)));

function missesOf(defective: readonly JudgedImage[]) {
  const misses = defective.filter(isMiss).length;
  return {
    misses,
    missRate: defective.length > 0 ? misses / defective.length : null,
    missInterval: wilsonInterval(misses, defective.length),
  };
}

function defectFigures(good: readonly JudgedImage[], ofKind: readonly JudgedImage[], size: Size): DefectFigures {
  const all = [...good, ...ofKind];
  const pixels = pixelsOf(all, size);
  return {
    images: ofKind.length,
    imageAuroc: auroc(scoresOf(all), labelsOf(all)),
    pixelAuroc: pixels && auroc(pixels.maps, pixels.masks),
    ...missesOf(ofKind),
  };
}

function pixelFigures(images: readonly JudgedImage[], size: Size) {
  const pixels = pixelsOf(images, size);
  if (!pixels) return { pixelAuroc: null, aupro: null };
  const { maps, masks } = pixels;
  return { pixelAuroc: auroc(maps, masks), aupro: aupro(maps, masks, size.height, size.width) };
}

/** The maps and masks (B, H, W) of good images and of those with a mask; null where there is no mask. */
function pixelsOf(
  images: readonly JudgedImage[],
  { height, width }: Size,
): { maps: Float32Array; masks: Uint8Array } | null {
  if (!images.some(({ mask }) => mask)) return null;
  const known = images.filter((judged) => isGood(judged) || judged.mask);
  const pixels = height * width;
  const maps = new Float32Array(known.length * pixels);
  const masks = new Uint8Array(known.length * pixels);
  known.forEach(({ anomalyMap, mask }, index) => {
    maps.set(anomalyMap, index * pixels);
    if (mask) masks.set(mask, index * pixels);
  });
  return { maps, masks };
}
