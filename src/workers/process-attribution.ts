import type { AttributionMethod, MethodAttribution } from '../explain/shap/attribute.js';
import { type Compute, threadTask } from '../shared/compute.js';
import type { Explanation, ProcessAttribution, Scored } from '../shared/contracts.js';
import { codeOf, messageOf, PatchlineError } from '../shared/errors.js';
import { featureNames } from '../shared/kernels/readable-features.js';
import type { SharedModel } from '../shared/onnx/session-cache.js';
import { type ProcessData, placeOfName } from '../shared/process-data.js';
import type { TableInput } from './process-attribution-thread.js';

// D columns, m background rows.

/** A product's own model of process data, checked and ready to explain. */
export interface TableModel {
  model: SharedModel;
  file: string;
  /** Of the file. */
  sha256: string;
  /** What it was fitted to give, where its file or the configuration says so. */
  predicts?: string;
  /** (D), what each column of a row is taken from: see `readRow`. */
  columns: string[];
  output: string;
  /** How many values the output has, and which is explained. */
  K: number;
  target: number;
  method: AttributionMethod;
  explainOutput?: 'margin' | 'probability';
  /** (m, D) */
  background: Float64Array;
  /** Whether it knows what to do with a missing value. */
  takesMissing: boolean;
}

/** What is known of an image. */
export interface Readings extends Pick<Scored, 'anomalyScore' | 'severity'> {
  process?: ProcessData;
  /** (5), in the order of `featureNames` */
  features: readonly number[];
}

/** What a column may be taken from beside process data. */
const ownReadings: readonly string[] = [...featureNames, 'anomaly_score', 'severity'];

const task = threadTask<TableInput, MethodAttribution>(new URL('./process-attribution-thread.js', import.meta.url));

/**
 * Attributes what a product's own model says of an image to its process data, by Shapley values against the background.
 *
 * @returns `process` says how it ended: skipped for an image without process data, failed where some of it is missing
 * @throws what may pass
 */
export async function attributeProcess(
  table: TableModel,
  readings: Readings,
  compute: Compute,
): Promise<{ process: Explanation; attribution?: ProcessAttribution }> {
  const { row, missing } = readRow(table, readings);
  const absence = describeAbsence(table, readings.process ?? {}, missing);
  if (absence) return { process: { ...absence, code: 'PROCESS_DATA_MISSING' } };
  const { model, columns, output, method, explainOutput, background } = table;
  try {
    const input = { model, columns: columns.length, output, method, row, background, explainOutput };
    return {
      process: { status: 'done' },
      attribution: describeAttribution(table, row, await compute.run(task, input)),
    };
  } catch (error) {
    if (!(error instanceof PatchlineError) || error.retryable) throw error;
    return { process: { status: 'failed', code: codeOf(error), message: `${table.file}: ${messageOf(error)}` } };
  }
}

/** Process data first, then what the inspection has found itself; NaN for what is `missing`. */
function readRow({ columns }: TableModel, { process = {}, features, anomalyScore, severity }: Readings) {
  const [names, values] = [Object.keys(process), Object.values(process)];
  const own = [...features, anomalyScore, severity];
  const row = Float64Array.from(
    columns,
    (name) => values[placeOfName(names, name)] ?? own[ownReadings.indexOf(name)] ?? Number.NaN,
  );
  return { row, missing: columns.filter((_, j) => Number.isNaN(row[j])) };
}

/** Why the row of an image says too little, undefined where it says enough. */
function describeAbsence({ file, columns, takesMissing }: TableModel, process: ProcessData, missing: string[]) {
  const names = Object.keys(process);
  if (missing.length === 0) return undefined;
  if (names.length === 0) {
    const message = `Expected the process data ${missing.join(', ')} for ${file} but the image came without any`;
    return { status: 'skipped' as const, message };
  }
  if (takesMissing && missing.length < columns.length) return undefined;
  const message = `Expected the process data ${missing.join(', ')} for ${file} but the image came with ${names.join(', ')}`;
  return { status: 'failed' as const, message };
}

function describeAttribution(
  { file, sha256, predicts, columns, output, K, target }: TableModel,
  row: Float64Array,
  { scale, values, expected, predictions }: MethodAttribution,
): ProcessAttribution {
  return {
    model: { file, sha256 },
    ...(predicts !== undefined && { predicts }),
    output,
    ...(K > 1 && { target }),
    scale,
    value: predictions[target]!,
    baseValue: expected[target]!,
    features: columns.map((name, j) => ({
      name,
      value: Number.isNaN(row[j]) ? null : row[j]!,
      shap: values[j * K + target]!,
    })),
  };
}
