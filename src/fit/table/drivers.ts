import { attribute } from '../../explain/shap/attribute.js';
import { openTabularModel } from '../../explain/shap/tabular-model.js';
import { createRandom } from '../../shared/kernels/random.js';
import type { ModelProto } from '../../shared/onnx/model.js';
import type { FitTableOptions } from './fit-table.js';
import type { TrainingTable } from './training-table.js';

// n rows, D columns, K outputs.

/** How much a column moves the predictions. */
export interface Driver {
  name: string;
  /** Mean |Shapley value| over rows, in units of the target or as probability; over all classes where there are more than two. */
  meanSize: number;
  /** Correlation between the column and its Shapley values; absent where there are more than two classes. */
  correlation?: number;
  /** What a higher value does to the prediction, or to the probability of the second of two classes. */
  effect?: 'raises' | 'lowers' | 'bends';
}

const mostRows = { forest: 200, mlp: 50 };
const mostBackgroundRows = { forest: 100, mlp: 20 };
/** Beyond this, sampled coalitions take less time than all of them. */
const mostExactColumns = 8;
/** Below this correlation an effect has no one direction. */
const leastCorrelation = 0.3;

/**
 * The columns by how much they move the predictions of a model, the first the most.
 *
 * @param background (m, D), what is usual
 */
export async function rankDrivers(
  kind: 'forest' | 'mlp',
  proto: ModelProto,
  { columns, rows, target }: TrainingTable,
  background: Float64Array,
  { seed, report }: Pick<FitTableOptions, 'seed' | 'report'>,
): Promise<Driver[]> {
  const D = columns.length;
  const explained = sampleRows(rows, D, mostRows[kind], seed);
  let done = 0;
  const onRows = (count: number) => {
    done += count;
    report({ phase: 'explaining', done, total: explained.length / D });
  };
  const method = kind === 'forest' ? 'tree' : D <= mostExactColumns ? 'exact' : 'kernel';
  const question = { rows: explained, background: background.subarray(0, mostBackgroundRows[kind] * D), onRows };
  const { values, K } = await attribute(openTabularModel(proto, [D]), method, question);
  const outputs = K === 2 ? [1] : [...new Array(K).keys()];
  const drivers = columns.map((name, j): Driver => {
    const own = Float64Array.from({ length: explained.length / D }, (_, row) => explained[row * D + j]!);
    const effects = outputs.map((k) => own.map((_, row) => values[(row * D + j) * K + k]!));
    const meanSize = effects.flatMap((each) => [...each]).reduce((sum, value) => sum + Math.abs(value), 0);
    const scaled = { name, meanSize: meanSize / (own.length * outputs.length) };
    return target.classes && K > 2 ? scaled : { ...scaled, ...directionOf(own, effects[0]!) };
  });
  return drivers.sort((a, b) => b.meanSize - a.meanSize);
}

/** Some of the rows (n, D), by chance; all where there are no more. */
export function sampleRows(rows: Float64Array, D: number, most: number, seed: number): Float64Array<ArrayBuffer> {
  const n = rows.length / D;
  const chosen = createRandom(seed).permutation(n).subarray(0, most).sort();
  const sample = new Float64Array(chosen.length * D);
  for (const [k, row] of chosen.entries()) sample.set(rows.subarray(row * D, (row + 1) * D), k * D);
  return sample;
}

function directionOf(values: Float64Array, effects: Float64Array): Pick<Driver, 'correlation' | 'effect'> {
  const present = [...values.keys()].filter((row) => !Number.isNaN(values[row]));
  const mean = (of: Float64Array) => present.reduce((sum, row) => sum + of[row]!, 0) / present.length;
  const [meanValue, meanEffect] = [mean(values), mean(effects)];
  const sum = (of: (row: number) => number) => present.reduce((total, row) => total + of(row), 0);
  const joint = sum((row) => (values[row]! - meanValue) * (effects[row]! - meanEffect));
  const spread = Math.sqrt(
    sum((row) => (values[row]! - meanValue) ** 2) * sum((row) => (effects[row]! - meanEffect) ** 2),
  );
  const correlation = spread > 0 ? joint / spread : 0;
  if (Math.abs(correlation) < leastCorrelation) return { correlation, effect: 'bends' };
  return { correlation, effect: correlation > 0 ? 'raises' : 'lowers' };
}
