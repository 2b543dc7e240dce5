import type { ScoredResult } from '../../shared/contracts.js';
import type { ProcessData } from '../../shared/process-data.js';
import { listResults } from '../../shared/results.js';
import type { ObjectStore } from '../../shared/store/object-store.js';
import { assertSuitable, isConstant, type Target, type TrainingTable, unsuitable } from './training-table.js';

export const inspectionTargets = ['severity', 'anomalyScore', 'anomalous'] as const;
export type InspectionTarget = (typeof inspectionTargets)[number];

export interface InspectionSearch {
  product: string;
  camera?: string | undefined;
  /** A date: older inspections are left out. */
  since?: string | undefined;
  target: InspectionTarget;
}

/** What is kept of an inspection: a few numbers. */
interface Reading {
  bundle: number;
  process: ProcessData;
  value: number;
}

const mostMissing = 0.5;

/**
 * The process data of a product's inspections against what the inspection found. An image that several bundles judged counts once,
 * by the latest. Readings that more than half of the inspections lack, or that never vary, are left out.
 *
 * @throws TABLE_UNSUITABLE
 */
export async function readInspections(store: ObjectStore, search: InspectionSearch): Promise<TrainingTable> {
  const { product, camera, since, target } = search;
  const source = `inspections of ${product}${camera === undefined ? '' : ` by ${camera}`}${since === undefined ? '' : ` since ${since}`}`;
  const { readings, inspections } = await collect(store, search);
  if (readings.length === 0) {
    throw unsuitable(
      source,
      `process data, sent with the images, but ${inspections === 0 ? 'there are no such inspections' : `none of ${inspections} has any`}`,
    );
  }
  const all = [...new Set(readings.flatMap(({ process }) => Object.keys(process)))];
  const rowsOf = (columns: readonly string[]) =>
    Float64Array.from(readings.flatMap(({ process }) => columns.map((column) => process[column] ?? Number.NaN)));
  const whole = rowsOf(all);
  const leftOut = all.flatMap((column, j) => {
    const missing = readings.filter(({ process }) => process[column] === undefined).length / readings.length;
    if (missing > mostMissing) return [{ column, reason: `missing in ${Math.round(100 * missing)} %` }];
    return isConstant(whole, all.length, j) ? [{ column, reason: 'never varies' }] : [];
  });
  const columns = all.filter((name) => !leftOut.some(({ column }) => column === name));
  const table: TrainingTable = {
    source,
    columns,
    rows: rowsOf(columns),
    target: targetOf(target, readings),
    droppedRows: 0,
    leftOut,
  };
  assertSuitable(table);
  return table;
}

async function collect(store: ObjectStore, { product, camera, since, target }: InspectionSearch) {
  const latest = new Map<string, Reading>();
  let inspections = 0;
  for await (const result of listResults(store, since)) {
    const isWanted = result.product === product && (camera === undefined || result.camera === camera);
    if (!isWanted || result.status === 'failed') continue;
    inspections++;
    const { imageKey, process } = result;
    const bundle = Number(result.bundle.slice(1));
    if (process === undefined || Object.keys(process).length === 0) continue;
    if ((latest.get(imageKey)?.bundle ?? 0) > bundle) continue;
    latest.set(imageKey, { bundle, process, value: readValue(result, target) });
  }
  return { readings: [...latest.values()], inspections };
}

function readValue({ severity, anomalyScore, verdict }: ScoredResult, target: InspectionTarget): number {
  return { severity, anomalyScore, anomalous: Number(verdict === 'anomalous') }[target];
}

function targetOf(name: InspectionTarget, readings: readonly Reading[]): Target {
  const values = Float64Array.from(readings, ({ value }) => value);
  return { name, values, ...(name === 'anomalous' && { classes: ['good', 'anomalous'] }) };
}
