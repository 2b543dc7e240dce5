import { auroc } from '../../shared/kernels/auroc.js';
import { quantile } from '../../shared/kernels/quantile.js';
import { createRandom } from '../../shared/kernels/random.js';
import type { Target } from './training-table.js';

// n rows, K outputs: one value, or the probability of each class.

/** One figure of what a model is worth on rows that it was not fitted to. */
export interface Measure {
  value: number;
  /** 95 %, by resampling the rows. */
  interval: [low: number, high: number];
  /** Of a model that knows no column: it always says the mean of the target, or the share of each class. */
  baseline: number;
}

export interface HeldOut {
  how: string;
  rows: number;
  measures: Partial<Record<MeasureName, Measure>>;
}

export type MeasureName = 'r2' | 'rmse' | 'mae' | 'auroc' | 'accuracy' | 'logLoss';
type Figures = Partial<Record<MeasureName, number>>;

/** Probabilities below this count as this in the log loss: a forest whose trees all err would make it infinite. */
const leastProbability = 1e-3;

/**
 * Judges predictions (n, K) of rows that their model had not seen; rows of NaN are left out.
 *
 * @param how they were held out
 */
export function judgeHeldOut(target: Target, predictions: Float64Array, how: string, seed: number): HeldOut {
  const K = target.classes?.length ?? 1;
  const rows = Int32Array.from(target.values.keys()).filter((row) => !Number.isNaN(predictions[row * K]));
  const measure = target.classes ? classificationFigures : regressionFigures;
  const constant = constantPredictions(target, rows, K);
  const own = measure(target, predictions, rows);
  const baseline = measure(target, constant, rows);
  const random = createRandom(seed);
  const resamples = Array.from({ length: Math.max(200, Math.min(1000, Math.floor(1e7 / rows.length))) }, () =>
    measure(
      target,
      predictions,
      Int32Array.from(rows, () => rows[random.integer(rows.length)]!),
    ),
  );
  const measures = Object.entries(own).map(([name, value]) => {
    const found = resamples
      .map((figures) => figures[name as MeasureName])
      .filter((each) => each !== undefined && Number.isFinite(each)) as number[];
    const interval = [quantile(found, 0.025), quantile(found, 0.975)];
    return [name, { value, interval, baseline: baseline[name as MeasureName]! }] as const;
  });
  return { how, rows: rows.length, measures: Object.fromEntries(measures) };
}

function constantPredictions({ values }: Target, rows: Int32Array, K: number): Float64Array {
  const sums = new Float64Array(K);
  for (const row of rows) {
    if (K === 1) sums[0]! += values[row]!;
    else sums[values[row]!]! += 1;
  }
  return Float64Array.from({ length: values.length * K }, (_, i) => sums[i % K]! / rows.length);
}

function regressionFigures({ values }: Target, predictions: Float64Array, rows: Int32Array): Figures {
  const mean = rows.reduce((sum, row) => sum + values[row]!, 0) / rows.length;
  let [squares, sizes, spread] = [0, 0, 0];
  for (const row of rows) {
    const error = predictions[row]! - values[row]!;
    squares += error ** 2;
    sizes += Math.abs(error);
    spread += (values[row]! - mean) ** 2;
  }
  return { r2: 1 - squares / spread, rmse: Math.sqrt(squares / rows.length), mae: sizes / rows.length };
}

function classificationFigures({ values, classes }: Target, predictions: Float64Array, rows: Int32Array): Figures {
  const K = classes!.length;
  let [right, loss] = [0, 0];
  for (const row of rows) {
    const own = predictions.subarray(row * K, (row + 1) * K);
    if (own.indexOf(Math.max(...own)) === values[row]) right++;
    loss -= Math.log(Math.max(leastProbability, own[values[row]!]!));
  }
  const figures = { accuracy: right / rows.length, logLoss: loss / rows.length };
  if (K > 2) return figures;
  const area = auroc(
    Float64Array.from(rows, (row) => predictions[row * K + 1]!),
    Float64Array.from(rows, (row) => values[row]!),
  );
  return { ...(area !== null && { auroc: area }), ...figures };
}

/** Whether the model may be worth nothing: the interval of its main figure holds what is reached without any column. */
export function mayExplainNothing({ measures: { r2, auroc: area, logLoss } }: HeldOut): boolean {
  if (r2) return r2.interval[0] <= 0;
  if (area) return area.interval[0] <= 0.5;
  return logLoss!.interval[1] >= logLoss!.baseline;
}
