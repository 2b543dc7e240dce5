import { blurredBaseline } from '../gradient/baselines.js';
import type { ImageAxes } from '../image-axes.js';
import type { Rows } from '../rows.js';
import { imputeLinearly } from './linear-imputation.js';
import { pixelFlipping } from './pixel-flipping.js';
import { heatOrder, randomOrder } from './pixel-order.js';
import { momentsOf, type PixelStatistics, statisticsOfImage } from './pixel-statistics.js';
import { changedRows, meanOfCurve, type ProgressiveChange, valuesAt } from './progressive-change.js';

/** What the network gives, such as the probability of a class, while more and more pixels are changed. */
export interface Curve {
  /** Parts of all pixels that are changed. */
  parts: Float64Array;
  values: Float64Array;
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
}
export type CurveName = keyof Faithfulness;

export const curveNames = [
  'flipping',
  'flippingAtRandom',
  'deletion',
  'insertion',
  'roadHottest',
  'roadColdest',
] as const satisfies readonly CurveName[];

export interface FaithfulnessInput {
  /** One image, as the axes say. */
  image: Float32Array;
  axes: ImageAxes;
  /** (H, W): the larger the hotter. */
  map: Float32Array;
  seed: number;
  /** What flipped pixels are drawn from; by default what the image alone tells. */
  statistics?: PixelStatistics | undefined;
  /**
   * Another image of the same form: deleted pixels become those of it, and inserted ones come into it. By default deleted pixels
   * become 0, and inserted ones come into the image blurred.
   */
  other?: Float32Array | undefined;
  /** What the network gives for each image, such as the probability of the class. */
  valuesOf: (rows: Rows) => Promise<Float64Array>;
}

/** A curve before it is scored. */
interface Change {
  parts: Float64Array;
  rows: Rows;
}

/**
 * Pixel flipping (Samek et al., arXiv:1509.06321), deletion and insertion (Petsiuk et al., arXiv:1806.07421) and ROAD (Rong et
 * al., arXiv:2202.00449) for one image and class: about 214 forward passes for all curves.
 *
 * @returns the curves that `names` names, and how many images the network was asked about
 * @throws SHAPE_MISMATCH
 */
export async function measureFaithfulness<Name extends CurveName>(
  input: FaithfulnessInput,
  names: readonly Name[],
): Promise<{ curves: Pick<Faithfulness, Name>; forwardPasses: number }> {
  const order = heatOrder(input.map);
  const changes = names.map((name) => changeMakers[name](input, order));
  const joined = joinRows(changes.map(({ rows }) => rows));
  const values = await input.valuesOf(joined); // all in one go, so that the network is kept busy
  let start = 0;
  const curves = changes.map(({ parts, rows }): Curve => {
    const own = values.slice(start, start + rows.count);
    start += rows.count;
    return { parts, values: own, area: meanOfCurve(own) };
  });
  const named = Object.fromEntries(names.map((name, index) => [name, curves[index]!]));
  return { curves: named as unknown as Pick<Faithfulness, Name>, forwardPasses: joined.count };
}

/** @param order pixels by their heat, hottest first */
type MakeChange = (input: FaithfulnessInput, order: Int32Array) => Change;

const changeMakers: Record<CurveName, MakeChange> = {
  flipping,
  flippingAtRandom: (input, order) => flipping(input, randomOrder(order.length, input.seed)),
  deletion: ({ image, axes, other }, order) => {
    const values = other ? valuesAt(other, order, axes) : new Float32Array(image.length);
    return all(axes, { start: image, order, values });
  },
  insertion: ({ image, axes, other }, order) => {
    const start = other ?? blurredBaseline(image, { ...axes, N: 1 });
    return all(axes, { start, order, values: valuesAt(image, order, axes) });
  },
  roadHottest: imputation,
  roadColdest: (input, order) => imputation(input, order.toReversed()),
};

function flipping({ image, axes, statistics, seed }: FaithfulnessInput, order: Int32Array): Change {
  const change = pixelFlipping(image, axes, order, statistics ?? statisticsOfImage(image), seed);
  const { length } = change.order;
  return { parts: evenParts(length / order.length, length, change.pixelsPerStep), rows: changedRows(change, axes) };
}

/** Of all pixels. */
function all(axes: ImageAxes, change: Omit<ProgressiveChange, 'pixelsPerStep'>): Change {
  const { length } = change.order;
  const pixelsPerStep = Math.ceil(length / deletionSteps);
  return { parts: evenParts(1, length, pixelsPerStep), rows: changedRows({ ...change, pixelsPerStep }, axes) };
}

const deletionSteps = 50;

/** Parts of the pixels that ROAD removes. */
const imputedParts = [0.1, 0.3, 0.5, 0.7, 0.9];

/** As a part of the deviation of the image's values. */
const imputationNoise = 0.01;

function imputation({ image, axes, seed }: FaithfulnessInput, order: Int32Array): Change {
  const deviation = imputationNoise * momentsOf(image).deviation;
  const write = (index: number, target: Float32Array) => {
    const removed = new Uint8Array(order.length);
    for (const p of order.subarray(0, Math.round(imputedParts[index]! * order.length))) removed[p] = 1;
    target.set(imputeLinearly(image, axes, removed, { deviation, seed }));
  };
  return { parts: Float64Array.from(imputedParts), rows: { count: imputedParts.length, write } };
}

/** 0, and a step more each time, up to `last`. */
const evenParts = (last: number, pixels: number, pixelsPerStep: number): Float64Array =>
  Float64Array.from(
    { length: 1 + Math.ceil(pixels / pixelsPerStep) },
    (_, i) => (last * Math.min(i * pixelsPerStep, pixels)) / pixels,
  );

function joinRows(parts: readonly Rows[]): Rows {
  const places = parts.flatMap(({ count, write }) => Array.from({ length: count }, (_, index) => ({ write, index })));
  return { count: places.length, write: (row, target) => places[row]!.write(places[row]!.index, target) };
}
