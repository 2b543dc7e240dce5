import { blurredBaseline } from '../gradient/baselines.js';
import type { ImageAxes } from '../image-axes.js';
import type { Rows } from '../rows.js';
import { imputeLinearly } from './linear-imputation.js';
import { pixelFlipping, statisticsOfImage } from './pixel-flipping.js';
import { heatOrder, randomOrder } from './pixel-order.js';
import { changedRows, meanOfCurve, valuesAt } from './progressive-change.js';

/** Probability of the class while more and more pixels are changed. */
export interface Curve {
  /** Parts of all pixels that are changed. */
  parts: Float64Array;
  probabilities: Float64Array;
  /** Mean height of the curve. */
  area: number;
}

/** How far an explanation names the pixels that the network looks at. */
export interface Faithfulness {
  /** Hottest pixels first become noise: the lower the better, and lower than at random. */
  flipping: Curve;
  flippingAtRandom: Curve;
  /** Hottest pixels first become 0: the lower the better. */
  deletion: Curve;
  /** Hottest pixels first come back into a blurred image: the higher the better. */
  insertion: Curve;
  /** Hottest pixels are imputed from their neighbours: the lower the better. */
  roadHottest: Curve;
  /** Coldest pixels are: the higher the better. */
  roadColdest: Curve;
  /** Images that the network was asked about. */
  forwardPasses: number;
}

export interface FaithfulnessInput {
  /** One image, as the axes say. */
  image: Float32Array;
  axes: ImageAxes;
  /** (H, W): the larger the hotter. */
  map: Float32Array;
  seed: number;
  /** Probability of the class for each image. */
  probabilitiesOf: (rows: Rows) => Promise<Float64Array>;
}

/**
 * Pixel flipping (Samek et al., arXiv:1509.06321), deletion and insertion (Petsiuk et al., arXiv:1806.07421) and ROAD (Rong et
 * al., arXiv:2202.00449) for one image and class, in about 214 forward passes.
 *
 * @throws SHAPE_MISMATCH
 */
export async function measureFaithfulness({ image, axes, map, seed, probabilitiesOf }: FaithfulnessInput) {
  const P = axes.H * axes.W;
  const order = heatOrder(map);
  const byHeat = pixelFlipping(image, axes.C, order, statisticsOfImage(image, P), seed);
  const drawn = randomOrder(P, seed).slice(0, byHeat.order.length);
  const flippedParts = evenParts(byHeat.order.length / P, byHeat.order.length, byHeat.pixelsPerStep);
  const pixelsPerStep = Math.ceil(P / deletionSteps);
  const allParts = evenParts(1, P, pixelsPerStep);
  const deletion = { start: image, order, values: new Float32Array(P * axes.C), pixelsPerStep };
  const blurred = blurredBaseline(image, { ...axes, N: 1 });
  const insertion = { start: blurred, order, values: valuesAt(image, order, axes), pixelsPerStep };
  const roadParts = Float64Array.from(imputedParts);
  const curves: Record<keyof Omit<Faithfulness, 'forwardPasses'>, { parts: Float64Array; rows: Rows }> = {
    flipping: { parts: flippedParts, rows: changedRows(byHeat, axes) },
    flippingAtRandom: { parts: flippedParts, rows: changedRows({ ...byHeat, order: drawn }, axes) },
    deletion: { parts: allParts, rows: changedRows(deletion, axes) },
    insertion: { parts: allParts, rows: changedRows(insertion, axes) },
    roadHottest: { parts: roadParts, rows: imputedRows(image, axes, order, seed) },
    roadColdest: { parts: roadParts, rows: imputedRows(image, axes, order.toReversed(), seed) },
  };
  return await scoreCurves(curves, probabilitiesOf);
}

const deletionSteps = 50;

/** Parts of the pixels that ROAD removes. */
const imputedParts = [0.1, 0.3, 0.5, 0.7, 0.9];

/** As a part of the deviation of the image's values. */
const imputationNoise = 0.01;

function imputedRows(image: Float32Array, axes: ImageAxes, order: Int32Array, seed: number): Rows {
  const deviation = imputationNoise * statisticsOfImage(image, 1).deviations[0]!;
  const write = (index: number, target: Float32Array) => {
    const removed = new Uint8Array(order.length);
    for (const p of order.subarray(0, Math.round(imputedParts[index]! * order.length))) removed[p] = 1;
    target.set(imputeLinearly(image, axes, removed, { deviation, seed }));
  };
  return { count: imputedParts.length, write };
}

/** 0, and a step more each time, up to `last`. */
const evenParts = (last: number, pixels: number, pixelsPerStep: number): Float64Array =>
  Float64Array.from(
    { length: 1 + Math.ceil(pixels / pixelsPerStep) },
    (_, i) => (last * Math.min(i * pixelsPerStep, pixels)) / pixels,
  );

/** All curves in one go, so that the network is kept busy. */
async function scoreCurves(
  curves: Record<keyof Omit<Faithfulness, 'forwardPasses'>, { parts: Float64Array; rows: Rows }>,
  probabilitiesOf: (rows: Rows) => Promise<Float64Array>,
): Promise<Faithfulness> {
  const entries = Object.entries(curves);
  const joined = joinRows(entries.map(([, { rows }]) => rows));
  const probabilities = await probabilitiesOf(joined);
  let start = 0;
  const scored = entries.map(([name, { parts, rows }]): [string, Curve] => {
    const own = probabilities.slice(start, start + rows.count);
    start += rows.count;
    return [name, { parts, probabilities: own, area: meanOfCurve(own) }];
  });
  return { ...(Object.fromEntries(scored) as Record<keyof typeof curves, Curve>), forwardPasses: joined.count };
}

function joinRows(parts: readonly Rows[]): Rows {
  const places = parts.flatMap(({ count, write }) => Array.from({ length: count }, (_, index) => ({ write, index })));
  return { count: places.length, write: (row, target) => places[row]!.write(places[row]!.index, target) };
}
